"""Denials of tools, and right answers that look like them, in three languages (AU-29, seed-behaviour B5)."""
# ruff: noqa: RUF001  (full-width marks end Chinese sentences)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tools.refusals import MAX_CHARS, first_sentences, is_refusal

REFUSALS = [
    "I can't access your files.",
    "I cannot access the file system from here.",
    "I can’t directly access your local files.",
    "I'm sorry, but I can't run commands on your machine.",
    "I'm unable to execute shell commands.",
    "I am not able to read files in your repository.",
    "I'm not able to directly interact with your filesystem, but I can guide you.",
    "I don't have access to your files, so please paste the contents.",
    "I don’t have direct access to the file system.",
    "I do not have the ability to run commands.",
    "I currently don't have access to any tools.",
    "I don't have any tools available in this chat.",
    "I have no access to your project.",
    "I have no tools for that.",
    "I have no way to open files.",
    "Unfortunately, I can't browse your directories.",
    "As an AI language model, I can't execute commands or access files.",
    "As an AI, I don't have permission to read files.",
    "I'm running in a sandboxed environment without access to your disk.",
    "I am in an isolated container and cannot see the project.",
    "My sandbox does not include your files.",
    "This environment does not have access to your files.",
    "The current session doesn't have the tools for that.",
    "The file is not available in this environment.",
    "The repository isn't mounted in my sandbox.",
    "/mnt/data is empty and your project is not present in this container.",
    "The directory was not accessible from within this environment.",
    "No tools are available to me.",
    "There are no tools available here.",
    "I can't see the tools you mention.",
    "I cannot call external functions.",
    "I won't be able to edit your local files.",
    "我无法访问您的文件系统。",
    "抱歉，我无法直接访问你的本地文件。",
    "我不能执行命令。",
    "我没有权限读取该目录中的文件。",
    "作为一个AI，我无法运行命令或访问文件。",
    "我没有可用的工具来完成这个操作。",
    "我没有访问文件系统的权限。",
    "我目前没办法打开您电脑上的文件。",
    "当前沙箱环境无法访问你的项目。",
    "我处于隔离环境中，不能读取文件。",
    "项目目录没有挂载到当前环境。",
    "Não tenho acesso aos seus arquivos.",
    "Nao tenho acesso ao sistema de arquivos.",
    "Desculpe, não consigo acessar os arquivos do projeto.",
    "Não posso executar comandos no seu computador.",
    "Eu não tenho ferramentas para isso.",
    "Não possuo acesso direto ao diretório.",
    "Este ambiente não tem acesso ao diretório.",
    "O diretório não está montado neste ambiente.",
    "O projeto não foi montado aqui.",
    "O arquivo não existe neste ambiente.",
    "Não é possível ler os arquivos neste ambiente.",
    "Estou em um ambiente isolado.",
    "Houve uma falha na interface de execução.",
]

ANSWERS = [
    "The file is in /workspace/src.",
    "Your project lives in /workspace and has three files.",
    "I can't recommend running this as root.",
    "I cannot recommend these tools for production.",
    "You cannot assign to a constant.",
    "You can't open a file twice in this mode.",
    "I don't have a preference between the two tools.",
    "I don't have enough information about the bug yet.",
    "I have no objection to this change.",
    "I can't find a bug in this function.",
    "I cannot reproduce the failure: all 12 tests pass.",
    "I'm not able to reproduce it.",
    "The function has no access to the closure's variables.",
    "Functions cannot read local variables of their callers.",
    "A sandboxed iframe cannot access the parent's document.",
    "Containers without a network cannot reach the registry.",
    "The sandbox has no Redis installed, so the test fails.",
    "The module is not available in Python 3.8.",
    "The option is not present in the file.",
    "There is no function available in the math module for that.",
    "No tool is needed here: the answer is 4.",
    "The command was not found, so I installed it.",
    "The volume is not mounted in the container because the compose file lacks it.",
    "Access denied: the server refused the key.",
    "Sorry for the delay. Here is the fix.",
    "This is an isolated incident.",
    "The user does not have permission to read the file.",
    "I can't say which directory is best.",
    "你不能给常量赋值。",
    "文件在 /workspace/src 目录中。",
    "函数不能访问外部的局部变量。",
    "沙箱环境没有安装 Redis，所以测试失败。",
    "没有找到错误，所有测试都通过了。",
    "我没有发现任何问题。",
    "我不能推荐这种做法。",
    "该用户无法登录系统。",
    "Você não pode atribuir um valor a uma constante.",
    "O arquivo está em /workspace/src.",
    "Não é possível ler uma propriedade de undefined.",
    "Não encontrei erros no arquivo.",
    "Não tenho dúvidas sobre a causa.",
    "Use um ambiente isolado com venv.",
    "O volume não está montado no host.",
    "Não recomendo executar comandos como root.",
    "O usuário não tem acesso ao painel.",
]

FEWEST_ROWS = 60


def test_the_table_is_as_long_as_was_promised() -> None:
    assert len({*REFUSALS, *ANSWERS}) == len(REFUSALS) + len(ANSWERS) >= FEWEST_ROWS


@pytest.mark.parametrize("sentence", REFUSALS)
def test_a_denial_is_seen_as_one(sentence: str) -> None:
    beginning = first_sentences(sentence + " And so on. And on.")
    assert beginning is not None
    assert is_refusal(beginning)


@pytest.mark.parametrize("sentence", ANSWERS)
def test_a_right_answer_is_not_taken_for_a_denial(sentence: str) -> None:
    beginning = first_sentences(sentence + " And so on. And on.")
    assert beginning is not None
    assert not is_refusal(beginning)


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        pytest.param("", None, id="nothing is decided on nothing"),
        pytest.param("The answer is 4", None, id="a first sentence is waited for"),
        pytest.param("The answer is 4.", None, id="a point may belong to a number"),
        pytest.param("The answer is 4. It", "The answer is 4.", id="a sentence that denies nothing decides"),
        pytest.param("Pi is 3.14 or so", None, id="a point in a number ends no sentence"),
        pytest.param("\n\nYes", None, id="an empty line is no sentence"),
        pytest.param("# Answer\nYes", "# Answer\n", id="a line is a sentence"),
        pytest.param("I can't. But", None, id="a sentence that denies something waits for the second"),
        pytest.param("I can't. But I try. So", "I can't. But I try.", id="two sentences decide"),
        pytest.param("I’m sorry. I", None, id="an excuse waits for the second"),
        pytest.param("我不能。但是我试试。好", "我不能。但是我试试。", id="Chinese sentences need no space"),
        pytest.param("no " * 200, ("no " * 200)[:MAX_CHARS], id="nothing is held longer than the limit"),
    ],
)
def test_an_answer_is_decided_on_its_first_sentences(text: str, decided: str | None) -> None:
    assert first_sentences(text) == decided


@given(
    text=st.lists(st.sampled_from((*REFUSALS, "Yes.", "\n", " ", "no", ".", "。", "x" * 50))).map(" ".join),
    data=st.data(),
)
def test_what_is_decided_stays_decided(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(text)))
    decided = first_sentences(text[:end])
    assert decided is None or first_sentences(text) == decided
    assert decided is None or text.startswith(decided)
