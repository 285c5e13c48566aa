"""The phrases of a model that says it is shut in a sandbox, or has no tools, instead of using the ones it was given.

AU-29 and seed-behaviour B5 list what models were seen to say. A phrase counts in the first sentences of an answer
only, and the model must deny something of itself or of where it runs: a right answer that merely mentions
`/workspace`, or says what cannot be done in a program, is no refusal.
"""
# ruff: noqa: RUF001  (full-width marks end Chinese sentences)

import re
from functools import cache

from core.request import Message, Text

FIRST_SENTENCES = 2
MAX_CHARS = 320
"""An answer is decided on after this much, or after its first sentences, whichever comes first."""

_ENGLISH = r"""
\bI(?:'m|\s+am)?\s+(?:\w+\s+)?(?:can't|cannot|can\s+not|(?:un|not\s+)able\s+to|won't\s+be\s+able\s+to)\s+
  (?:\w+ly\s+)?(?:access|read|open|view|see|browse|inspect|list|edit|modify|write|execute|run|invoke|call|use|interact)\b
  [^.!?\n]{0,50}?(?:\b(?:your|local|any|external|these|those)\s+(?:\w+\s+){0,2}?(?:file|folder|director|tool|function|repo|project|workspace|codebase|computer|machine|terminal|system|environment)
    |\b(?:files|tools|functions|commands|file\s?systems?|the\s+(?:shell|terminal|repository|project))\b(?!\s+(?:as|with|that|like|in\s+a)\b))
|\bI\s+(?:(?:\w+\s+)?(?:don't|do\s+not)\s+(?:\w+ly\s+)?have|have\s+no)\s+(?:\w+\s+){0,2}?
  (?:access|ability|permission|way|means|capability)\s+(?:to|of)\b[^.!?\n]{0,60}?
  \b(?:files?|folders?|director(?:y|ies)|file\s?systems?|tools?|functions?|terminal|shell|commands?|computer|machine|environment|repository|project|workspace|codebase)\b
|\bI\s+(?:don't|do\s+not|can't|cannot)\s+(?:actually\s+)?(?:have|see)\s+(?:any\s+|the\s+|such\s+|those\s+)?(?:\w+\s+)?(?:tools|file\s?system)\b
|\bI\s+have\s+no\s+(?:\w+\s+)?(?:tools|file\s?system)\b
|\b(?:I|I'm|my)\b[^.!?\n]{0,50}\b(?:sandbox(?:ed)?|isolated|container(?:ized)?)\b[^.!?\n]{0,100}\b(?:not|no|cannot|can't|without|only|isn't|don't|doesn't)\b
|\b(?:this|my|the\s+current)\s+(?:\w+\s+)?(?:sandbox|environment|container|session|chat)\s+(?:does\s+not|doesn't|has\s+no|cannot|can't)\b
  [^.!?\n]{0,30}\b(?:your|local|tools?|files|file\s?system)\b
|(?:\b(?:files?|folder|director(?:y|ies)|path|project|repo(?:sitory)?|workspace|codebase|tools?)\b|/mnt/data|/workspace)[^.!?\n]{0,60}
  \b(?:is|are|was|were)(?:n't|\s+not)\s+(?:mounted|available|accessible|present|visible)\s+
  (?:to\s+me\b|here\b|(?:(?:in|from|within|inside)\s+)+(?:this|my|the\s+current)\s+(?:\w+\s+)?(?:environment|sandbox|container|session|chat|conversation))
|\b(?:no|none\s+of\s+the)\s+(?:such\s+)?tools?\s+(?:is|are|were)\s+(?:actually\s+)?(?:available|accessible|provided|connected)
|\bthere\s+(?:is|are)\s+no\s+(?:such\s+)?tools?\s+(?:available|here|connected)
|\b(?:language\s+model|AI(?:\s+assistant)?)\b[^.!?\n]{0,40}\b(?:can't|cannot|don't|unable|not\s+able)\b[^.!?\n]{0,60}\b(?:files|tools|commands|file\s?system|your\s+\w+)\b
"""
_PORTUGUESE = r"""
\bn[ãa]o\s+(?:tenho|possuo)\s+(?:\w+\s+)?(?:acesso|permiss[ãa]o|como)\b[^.!?\n]{0,50}?
  (?:arquivo|diret[óo]rio|pasta|sistema|ferramenta|terminal|ambiente|m[áa]quina|computador|projeto|reposit[óo]rio)
|\bn[ãa]o\s+(?:tenho|possuo)\s+(?:(?:as|essas|nenhuma)\s+)?ferramentas?\b
|\bn[ãa]o\s+(?:posso|consigo)\s+(?:\w+mente\s+)?(?:acessar|ler|abrir|executar|rodar|usar|listar|ver)\b[^.!?\n]{0,50}?
  (?:arquivos|diret[óo]rio|pasta|comandos|ferramentas?|terminal|sistema\s+de|m[áa]quina|computador|projeto|reposit[óo]rio|neste\s+ambiente)
|\bambiente\b[^.!?\n]{0,30}\bn[ãa]o\s+tem\s+acesso\s+a
|\bn[ãa]o\s+(?:est[áa]|est[ãa]o|foi|foram)\s+montad[oa]s?\b[^.!?\n]{0,20}(?:neste|nesta|aqui|meu|ambiente|sandbox|cont[êe]iner|container)
|\bn[ãa]o\s+(?:existem?\s+neste|pode\s+continuar\s+neste|posso\s+continuar\s+neste)\s+ambiente
|\bn[ãa]o\s+(?:[ée]|foi)\s+poss[íi]vel\s+(?:ler|abrir|executar|acessar)\b[^.!?\n]{0,50}(?:neste\s+ambiente|aqui|ambiente\s+isolado|sandbox|(?:seus|os)\s+arquivos|o\s+diret[óo]rio)
|\b(?:estou|rodando|executando|meu|este|neste)\b[^.!?\n]{0,30}\b(?:ambiente|filesystem|sistema\s+de\s+arquivos|cont[êe]iner|container|sandbox)\s+(?:\w+\s+)?isolad[oa]
|\bfalha\s+na\s+interface\s+de\s+execu[çc][ãa]o
"""
_CHINESE = r"""
(?:我|本模型|(?:模型|助手|AI)[，,]?)[^。！？\n]{0,6}(?:无法|不能|没有办法|没办法|没法|没有权限|没有能力|无权)[^。！？\n]{0,8}
  (?:访问|读取|执行|运行|调用|使用|查看|打开)[^。！？\n]{0,16}(?:文件|目录|工具|命令|终端|系统|环境|函数|项目|仓库|电脑)
|(?:我|本模型)[^。！？\n]{0,4}(?:没有|不具备|缺少)[^。！？\n]{0,12}(?:工具|文件系统|访问权限|执行权限|访问[^。！？\n]{0,10}(?:权限|能力))
|(?:我|当前|目前|此|这个)[^。！？\n]{0,10}(?:沙盒|沙箱|隔离)[^。！？\n]{0,40}(?:无法|不能|没有)
|(?:文件|目录|项目|仓库)[^。！？\n]{0,10}(?:未|没有|没)(?:被)?挂载[^。！？\n]{0,6}(?:当前|此|这个|我的)?(?:环境|沙箱|沙盒|容器)
"""


@cache
def _phrases() -> tuple["re.Pattern[str]", ...]:
    """Return one pattern for each language. They take long to compile: the first who needs them does it."""
    return tuple(re.compile(pattern, re.IGNORECASE | re.VERBOSE) for pattern in (_ENGLISH, _PORTUGUESE, _CHINESE))


_STEMS = re.compile(
    r"n't\b|cannot|\bnot?\b|unable|sandbox|isolat|without|sorry|apolog|unfortunately"
    r"|\bn[ãa]o\b|isolad|falha|desculp|lament|infelizmente|无法|不能|不具备|缺少|没|无权|未|沙盒|沙箱|隔离|抱歉|对不起|遗憾",
    re.IGNORECASE,
)
"""A first sentence without one of these denies nothing and is no excuse: nothing more is held back."""

_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]|\n")


def first_sentences(text: str) -> str | None:
    """Return the beginning of an answer that tells a refusal from an answer, None while there is not enough of it.

    The same for every longer text: what comes behind it does not count.
    """
    beginning = _straight(text[:MAX_CHARS])
    ends = [end.end() for end in _SENTENCE_END.finditer(beginning) if beginning[: end.end()].strip()]
    if ends and not _STEMS.search(beginning, 0, ends[0]):
        return text[: ends[0]]
    if len(ends) >= FIRST_SENTENCES:
        return text[: ends[FIRST_SENTENCES - 1]]
    return text[:MAX_CHARS] if len(text) >= MAX_CHARS else None


def is_refusal(beginning: str) -> bool:
    """Say whether an answer's beginning denies having the tools it was given."""
    text = _straight(beginning[:MAX_CHARS])
    return any(phrase.search(text) for phrase in _phrases())


def _straight(text: str) -> str:
    return text.replace("\u2019", "'")


INSISTENCE = Message(
    "user",
    (
        Text(
            "You do have these tools here: the caller runs every call you write and sends you its result. "
            "Do not speak of a sandbox or of missing access; write the call that the task needs now."
        ),
    ),
)
"""What the model is told when it denied having its tools."""
