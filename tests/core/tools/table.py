"""The table of answers: what a model said, and what must come of it, however it is cut into pieces."""

import json

from core.request import Tool
from tests.core.tools.lifting import TAG, Asks, Breaks, Calls, Case, Ends, Says, Thinks, schema


def own(name: str, arguments: str) -> str:
    return f'<{TAG} name="{name}">{arguments}</{TAG}>'


def opened(name: str, arguments: str = "") -> str:
    return f'<{TAG} name="{name}">{arguments}'


def tagged(body: str) -> str:
    return f"<tool_call>{body}</tool_call>"


def xml(name: str, arguments: str) -> str:
    call = f"<function_call><tool>{name}</tool><args_json>{arguments}</args_json></function_call>"
    return f"<function_calls>{call}</function_calls>"


F = '{"a": 1}'
CALLS_F = Calls("f", F)
PATCH = '*** Begin Patch\n*** Update File: a.py\n@@\n-if a < b and c > "d":\n+if a <= b:\n*** End Patch'
LONG = json.dumps({"q": "x\n\u00e9\U0001f600" * 700})
NESTED = '{"a": 1, "b": {"c": [1, [2, {"d": null}], {}], "e": []}}'
BROKEN = (Breaks("malformed_tool_call"),)

CALLS = (
    Case("a call alone", own("f", F), (CALLS_F,)),
    Case("a text before a call is text", "Let me see.\n" + own("f", F), (Says("Let me see.\n"), CALLS_F)),
    Case("a call may follow a text on the same line", "Now: " + own("f", F), (Says("Now: "), CALLS_F)),
    Case("a text behind a call is text", own("f", F) + " Done.", (CALLS_F, Says(" Done."))),
    Case("white space behind a call means nothing", own("f", F) + "\n\n  ", (CALLS_F,)),
    Case("white space before a call means nothing", "\n\n" + own("f", F), (CALLS_F,)),
    Case("two calls in a row", own("f", F) + own("g", '{"q":""}'), (CALLS_F, Calls("g", '{"q":""}'))),
    Case("two calls on two lines", own("f", F) + "\n" + own("f", F), (CALLS_F, CALLS_F)),
    Case(
        "three calls with a text between",
        own("f", F) * 2 + " and " + own("f", F),
        (CALLS_F, CALLS_F, Says(" and "), CALLS_F),
    ),
    Case("arguments on lines of their own", own("f", f"\n{F}\n"), (CALLS_F,)),
    Case(
        "arguments are not written anew",
        own("f", '{ "a" :1,\n\t"b":1.0e+2 }'),
        (Calls("f", '{ "a" :1,\n\t"b":1.0e+2 }'),),
    ),
    Case("arguments may nest", own("any", NESTED), (Calls("any", NESTED),)),
    Case("arguments may be empty", own("any", "{}"), (Calls("any", "{}"),)),
    Case("arguments that are left out are empty", own("any", ""), (Calls("any", "{}"),)),
    Case("arguments of white space are empty", own("any", " \n "), (Calls("any", "{}"),)),
    Case("empty arguments with space inside stay so", own("any", "{ }"), (Calls("any", "{ }"),)),
    Case("arguments that are left out but required are asked for", own("g", ""), (Asks("malformed"),)),
    Case("empty arguments where some are required are asked for", own("g", "{}"), (Asks("malformed"),)),
    Case(
        "an escape stays an escape", own("g", r'{"q":"\"\\\/\b\f\n\r\t"}'), (Calls("g", r'{"q":"\"\\\/\b\f\n\r\t"}'),)
    ),
    Case("a surrogate pair stays a pair", own("g", r'{"q":"\ud83d\ude00"}'), (Calls("g", r'{"q":"\ud83d\ude00"}'),)),
    Case("a lone surrogate stays alone", own("g", r'{"q":"\ud83d!"}'), (Calls("g", r'{"q":"\ud83d!"}'),)),
    Case(
        "letters beyond ASCII stay as they are",
        own("g", '{"q":"é\U0001f600漢"}'),
        (Calls("g", '{"q":"é\U0001f600漢"}'),),
    ),
    Case(
        "a closing tag in a string is part of it", own("g", f'{{"q":"</{TAG}>"}}'), (Calls("g", f'{{"q":"</{TAG}>"}}'),)
    ),
    Case(
        "an opening tag in a string is part of it",
        own("g", f'{{"q":"<{TAG} name="}}'),
        (Calls("g", f'{{"q":"<{TAG} name="}}'),),
    ),
    Case("brackets in a string are part of it", own("g", '{"q":"}]{[<"}'), (Calls("g", '{"q":"}]{[<"}'),)),
    Case("a number at the border ends with the bracket", own("any", '{"a":-0.5E-3}'), (Calls("any", '{"a":-0.5E-3}'),)),
    Case("zero is a number", own("f", '{"a":0}'), (Calls("f", '{"a":0}'),)),
    Case("a number before white space", own("f", '{"a":12 }'), (Calls("f", '{"a":12 }'),)),
    Case(
        "words are values",
        own("any", '{"a":true,"b":false,"c":null}'),
        (Calls("any", '{"a":true,"b":false,"c":null}'),),
    ),
    Case("a list of numbers", own("any", '{"a":[1,-2,3.5,4e1]}'), (Calls("any", '{"a":[1,-2,3.5,4e1]}'),)),
    Case("a key may repeat", own("f", '{"a":1,"a":2}'), (Calls("f", '{"a":1,"a":2}'),)),
    Case("huge arguments", own("g", LONG), (Calls("g", LONG),)),
    Case("single quotes around the name", f"<{TAG} name='f'>{F}</{TAG}>", (CALLS_F,)),
    Case("spaces within the tag", f'<{TAG}  name = "f" >{F}</{TAG}>', (CALLS_F,)),
    Case("a line end within the tag", f'<{TAG}\nname="f">{F}</{TAG}>', (CALLS_F,)),
    Case("a text may end in a sign of a tag before a call", "a < b <" + own("f", F), (Says("a < b <"), CALLS_F)),
    Case("half a tag before a call is text", "<call_" + own("f", F), (Says("<call_"), CALLS_F)),
    Case(
        "a call that was cut by an end of text goes on in the next", (opened("f", '{"a"'), f": 1}}</{TAG}>"), (CALLS_F,)
    ),
    Case("with one call allowed the rest is left out", own("f", F) + own("f", F) + "x", (CALLS_F,), parallel=False),
    Case("one call allowed and no more came", "Hm. " + own("f", F), (Says("Hm. "), CALLS_F), parallel=False),
    Case("one call allowed, ended by the end of the answer", opened("f", F), (CALLS_F,), parallel=False),
    Case("a forced call comes with its text", "Sure. " + own("f", F), (Says("Sure. "), CALLS_F), forced=True),
    Case("a forced call that did not come is asked for", "I would rather not.", (Asks("forced"),), forced=True),
    Case(
        "a call cut for length goes out as far as it came",
        opened("g", '{"q":"ab'),
        (Calls("g", '{"q":"ab'), Ends("length")),
        finish="length",
    ),
    Case("a call that was whole when the answer was cut", opened("f", F), (CALLS_F,), finish="length"),
    Case("a tag cut for length is text", f"Now <{TAG} na", (Says(f"Now <{TAG} na"),), finish="length"),
    Case(
        "a call whose arguments had not begun when cut is text",
        "Now " + opened("f"),
        (Says("Now " + opened("f")),),
        finish="length",
        last_chance=True,
    ),
)

SLIPS = (
    Case("the closing tag is missing at the end", opened("f", F), (CALLS_F,)),
    Case("the closing tag is missing before a text", opened("f", F) + "\nDone.", (CALLS_F, Says("\nDone."))),
    Case("the closing tag is missing before a call", opened("f", F) + "\n" + own("f", F), (CALLS_F, CALLS_F)),
    Case("the closing tag forgets its hash", opened("f", F) + "</call>", (CALLS_F,)),
    Case("the closing tag was cut off", opened("f", F) + "</call_ab", (CALLS_F,)),
    Case("the closing tag of something else is text", opened("f", F) + "</div>", (CALLS_F, Says("</div>"))),
    Case("a closing bracket is missing", opened("f", '{"a": 1') + f"</{TAG}>", (CALLS_F,)),
    Case("two closing brackets are missing", own("any", '{"a":{"b":[1'), (Calls("any", '{"a":{"b":[1]}}'),)),
    Case(
        "all brackets are missing and the tag as well",
        opened("any", '{"a":{"b":[true'),
        (Calls("any", '{"a":{"b":[true]}}'),),
    ),
    Case("a bracket is missing behind a comma", own("any", '{"a":[1,'), (Calls("any", '{"a":[1]}'),)),
    Case("a bracket is missing before a half tag at the end", opened("f", '{"a": 1') + "</ca", (CALLS_F,)),
    Case("a bracket too many is left out", own("f", F + "}"), (CALLS_F,)),
    Case("arguments in a code fence", own("f", f"```json\n{F}\n```"), (CALLS_F,)),
    Case("arguments in a fence of no language", own("f", f"\n```\n{F}```\n"), (CALLS_F,)),
    Case("a trailing comma in an object", own("f", '{"a": 1,}'), (CALLS_F,)),
    Case("a trailing comma in a list", own("any", '{"a":[1,2 , ]}'), (Calls("any", '{"a":[1,2  ]}'),)),
    Case("a line end within a string", own("g", '{"q":"a\nb\tc\r"}'), (Calls("g", r'{"q":"a\nb\tc\r"}'),)),
    Case("a control character within a string", own("g", '{"q":"\x01\x00"}'), (Calls("g", r'{"q":"\u0001\u0000"}'),)),
    Case("a lone backslash is doubled", own("g", r'{"q":"C:\path\dir"}'), (Calls("g", r'{"q":"C:\\path\\dir"}'),)),
    Case(
        "a backslash before an escape's letter is an escape",
        own("g", r'{"q":"C:\new"}'),
        (Calls("g", r'{"q":"C:\new"}'),),
    ),
    Case("a half escape is doubled", own("g", r'{"q":"\u12x \uZ"}'), (Calls("g", r'{"q":"\\u12x \\uZ"}'),)),
    Case("a half escape at the end of the string", own("g", r'{"q":"\u12"}'), (Calls("g", r'{"q":"\\u12"}'),)),
    Case("a backslash before a line end", own("g", '{"q":"a\\\nb"}'), (Calls("g", r'{"q":"a\\\nb"}'),)),
    Case("a tag without a name is asked about", f"<{TAG}>{{}}</{TAG}>", (Asks("malformed"),)),
    Case("a tag with an empty name is asked about", f'<{TAG} name="">{{}}', (Asks("malformed"),)),
    Case("a tag with another attribute alone is asked about", f'<{TAG} id="f">{{}}', (Asks("malformed"),)),
    Case("a tag that closes itself is asked about", f'<{TAG} name="f" />', (Asks("malformed"),)),
    Case("a tag with another attribute behind the name", f'<{TAG} name="f" id="1">{F}</{TAG}>', (CALLS_F,)),
    Case("a tag with another attribute before the name", f'<{TAG} id="1" name="f">{F}</{TAG}>', (CALLS_F,)),
    Case("a tag whose name has no quotes", f"<{TAG} name=f>{F}</{TAG}>", (CALLS_F,)),
    Case("a tag whose name is called tool", f'<{TAG} tool="f">{F}</{TAG}>', (CALLS_F,)),
    Case("a tag whose name is called NAME", f'<{TAG} NAME="f">{F}</{TAG}>', (CALLS_F,)),
    Case("a tag with much space", f'<{TAG}{" " * 9}name="f">{F}</{TAG}>', (CALLS_F,)),
    Case("a semicolon behind the arguments is left out", own("f", F + ";"), (CALLS_F,)),
    Case("a bracket too many and a semicolon", own("f", F + ");"), (CALLS_F,)),
    Case("two arguments in one tag are two calls", own("f", F + "\n" + F), (CALLS_F, CALLS_F)),
    Case("three arguments in one tag with commas", own("f", f"{F}, {F},{F}"), (CALLS_F, CALLS_F, CALLS_F)),
    Case("two arguments in a tag that is not closed", opened("f", F + F), (CALLS_F, CALLS_F)),
    Case("two arguments in one tag with one call allowed", own("f", F + F), (CALLS_F,), parallel=False),
    Case(
        "arguments behind others that cannot be used are text at last",
        own("f", F + "\n{no}"),
        (CALLS_F, Says("\n{no}" + f"</{TAG}>")),
        last_chance=True,
    ),
    Case("an unknown tool is asked for again", own("nope", F), (Asks("malformed"),)),
    Case(
        "an unknown tool is text at last",
        "x " + own("nope", F) + " y",
        (Says("x " + own("nope", F) + " y"),),
        last_chance=True,
    ),
    Case(
        "a call before an unknown tool stays",
        own("f", F) + own("nope", F),
        (CALLS_F, Asks("malformed")),
        (Asks("malformed"),),
    ),
    Case("arguments that are a list", own("f", "[1]"), (Asks("malformed"),)),
    Case("arguments that are a word", own("f", "true"), (Asks("malformed"),)),
    Case("arguments that are prose", own("f", "a = 1"), (Asks("malformed"),)),
    Case("arguments that are prose are text at last", own("f", "a = 1"), (Says(own("f", "a = 1")),), last_chance=True),
    Case("prose in brackets was never begun", own("f", "{a = 1}"), (Asks("malformed"),)),
    Case(
        "prose in brackets is text at last",
        own("f", "{a = 1}") + "!",
        (Says(own("f", "{a = 1}") + "!"),),
        last_chance=True,
    ),
    Case(
        "a fault within the arguments breaks a stream",
        own("f", '{"a": no}'),
        (Calls("f", '{"a": ', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "a word that is none breaks a stream",
        own("f", '{"a": trux, "b": 2}'),
        (Calls("f", '{"a": ', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "a number with a leading zero is none",
        own("f", '{"a": 01}'),
        (Calls("f", '{"a": ', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "a missing colon breaks a stream",
        own("f", '{"a" 1}'),
        (Calls("f", '{"a" ', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "a wrong bracket breaks a stream",
        own("f", '{"a": [1}'),
        (Calls("f", '{"a": [1', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "an answer that ends within a string breaks a stream",
        opened("g", '{"q":"ab'),
        (Calls("g", '{"q":"ab', whole=False), *BROKEN),
        (Asks("malformed"),),
    ),
    Case(
        "arguments against the schema stay when they were sent",
        own("f", '{"a":"x"}'),
        (Calls("f", '{"a":"x"}'),),
        (Asks("malformed"),),
    ),
    Case(
        "arguments against the schema are text at last",
        own("f", '{"a":"x"}'),
        (Calls("f", '{"a":"x"}'),),
        (Says(own("f", '{"a":"x"}')),),
        last_chance=True,
    ),
    Case("a call that never began is text at last", opened("f", " \n"), (Says(opened("f", " \n")),), last_chance=True),
    Case("a call that never began is asked for", opened("f"), (Asks("malformed"),)),
)

CUSTOM = (
    Case("a free text", own("note", "\nhello\n"), (Calls("note", "hello", "custom"),)),
    Case("a free text without line ends around it", own("note", "hello"), (Calls("note", "hello", "custom"),)),
    Case(
        "a free text keeps its other line ends", own("note", "\n\nhello\n\n"), (Calls("note", "\nhello\n", "custom"),)
    ),
    Case("a free text may be empty", own("note", ""), (Calls("note", "", "custom"),)),
    Case("a patch", own("note", f"\n{PATCH}\n"), (Calls("note", PATCH, "custom"),)),
    Case("two patches", (own("note", f"\n{PATCH}\n") + "\n") * 2, (Calls("note", PATCH, "custom"),) * 2),
    Case("a free text may hold JSON", own("note", F), (Calls("note", F, "custom"),)),
    Case(
        "a free text may hold other tags",
        own("note", "<call>\n</call>\n<tool_call>"),
        (Calls("note", "<call>\n</call>\n<tool_call>", "custom"),),
    ),
    Case(
        "a free text may hold half of its tag",
        own("note", "</call_abc </call_"),
        (Calls("note", "</call_abc </call_", "custom"),),
    ),
    Case("a free text may hold a fence", own("note", "\n```\nx\n```\n"), (Calls("note", "```\nx\n```", "custom"),)),
    Case(
        "a free text that is not closed ends with the answer",
        opened("note", "\nhello\n"),
        (Calls("note", "hello", "custom"),),
    ),
    Case("a free text ended by a bare tag", opened("note", "\nhello\n</call>\n"), (Calls("note", "hello", "custom"),)),
    Case("a free text ended by a half tag", opened("note", "\nhello\n</call_ab"), (Calls("note", "hello", "custom"),)),
    Case("a free text that ends in a sign of a tag", opened("note", "a <"), (Calls("note", "a <", "custom"),)),
    Case("a free text with a call behind it", own("note", "x") + own("f", F), (Calls("note", "x", "custom"), CALLS_F)),
    Case("a free text cut for length", opened("note", "hel"), (Calls("note", "hel", "custom"),), finish="length"),
)

TEXTS = (
    Case("an empty answer", "", ()),
    Case("a plain answer", "Hello there.", (Says("Hello there."),)),
    Case("an answer of white space", " \n", (Says(" \n"),)),
    Case("white space around an answer stays", "\n Hello \n", (Says("\n Hello \n"),)),
    Case("signs of comparison", "if a < b and c<d: x <- 1", (Says("if a < b and c<d: x <- 1"),)),
    Case("tags of other kinds", "<b>bold</b> <call> <caller> <tool>", (Says("<b>bold</b> <call> <caller> <tool>"),)),
    Case(
        "a tag with another hash",
        '<call_123456 name="f">{}</call_123456>',
        (Says('<call_123456 name="f">{}</call_123456>'),),
    ),
    Case("a tag without a hash", '<call name="f">{}</call>', (Says('<call name="f">{}</call>'),)),
    Case(
        "a tag with more behind its hash", f'<{TAG}0 name="f">{{}}</{TAG}0>', (Says(f'<{TAG}0 name="f">{{}}</{TAG}0>'),)
    ),
    Case(
        "a tag without a name is text at last",
        f"x <{TAG}>{{}}</{TAG}> y",
        (Says(f"x <{TAG}>{{}}</{TAG}> y"),),
        last_chance=True,
    ),
    Case("a tag that is too long", f'<{TAG} name="{"x" * 200}">', (Says(f'<{TAG} name="{"x" * 200}">'),)),
    Case("a tag in capital letters", f'<{TAG.upper()} name="f">{{}}', (Says(f'<{TAG.upper()} name="f">{{}}'),)),
    Case("a closing tag alone", f"so </{TAG}> ends", (Says(f"so </{TAG}> ends"),)),
    Case("a tag that ends with the answer", f'<{TAG} name="f"', (Says(f'<{TAG} name="f"'),)),
    Case("one sign of a tag at the end", "a <", (Says("a <"),)),
    Case(
        "without tools a call is text",
        own("f", F) + tagged('{"name":"f"}'),
        (Says(own("f", F) + tagged('{"name":"f"}')),),
        tools=(),
    ),
    Case("a call in reasoning is no call", (Thinks(own("f", F)), "Hello."), (Thinks(own("f", F)), Says("Hello."))),
    Case("a call behind reasoning is one", (Thinks("Hm."), own("f", F)), (Thinks("Hm."), CALLS_F)),
    Case("reasoning between texts", ("One.", Thinks("Hm."), "Two."), (Says("One."), Thinks("Hm."), Says("Two."))),
    Case("reasoning between calls", (own("f", F), Thinks("Hm."), own("f", F)), (CALLS_F, Thinks("Hm."), CALLS_F)),
    Case(
        "reasoning ends a call that was not closed",
        (opened("f", F), Thinks("Hm."), "x"),
        (CALLS_F, Thinks("Hm."), Says("x")),
    ),
    Case(
        "a JSON value alone is no call",
        '{"name": "f", "arguments": {"a": 1}}',
        (Says('{"name": "f", "arguments": {"a": 1}}'),),
    ),
)


def stays(sentence: str, text: str) -> Case:
    """Return the row of a text in which nothing is a call."""
    return Case(sentence, text, (Says(text),))


QUOTES = (
    stays("a call in a fence", f"So:\n```\n{own('f', F)}\n```\nDone."),
    stays("a call in a fence with a language", f"```xml\n{own('f', F)}\n```"),
    stays("a call in a fence of tildes", f"~~~\n{own('f', F)}\n~~~\n"),
    stays("a call in a longer fence behind a shorter one", f"````\n```\n{own('f', F)}\n```\n{own('f', F)}\n````\n"),
    stays("a fence is not closed by the other sign", f"```\n~~~\n{own('f', F)}\n```"),
    stays("a fence is not closed by a line with words", f"```\n``` more\n{own('f', F)}"),
    stays("an indented fence", f"   ```\n   {own('f', F)}\n   ```"),
    stays("a fence in a list is indented further", f"1. so\n\n     ```\n     {own('f', F)}\n     ```"),
    stays("a fence that is never closed", f"```\n{own('f', F)}"),
    stays("a call on the line of a fence", f"```{own('f', F)}"),
    stays("a call on the line of a fence behind its language", f"``` xml {own('f', F)}"),
    Case("backticks behind a tag are no fence", f"x <b>```<i>\n{own('f', F)}", (Says("x <b>```<i>\n"), CALLS_F)),
    stays("a call right behind a backtick", f"Write `{own('f', F)}`."),
    stays("a foreign call in a fence", "```\n" + tagged('{"name":"f","arguments":{}}') + "\n```"),
    stays("an XML call in a fence", f"```xml\n{xml('f', F)}\n```"),
    stays("a foreign call right behind a backtick", "`" + tagged('{"name":"f","arguments":{}}') + "`"),
    Case("a call behind a closed fence", f"```\nx\n```\n{own('f', F)}", (Says("```\nx\n```\n"), CALLS_F)),
    Case(
        "a call behind a longer closing fence", f"```\nx\n`````  \n{own('f', F)}", (Says("```\nx\n`````  \n"), CALLS_F)
    ),
    Case("a call behind two fences", f"```\n```\n~~~\n~~~\n{own('f', F)}", (Says("```\n```\n~~~\n~~~\n"), CALLS_F)),
    Case("two backticks are no fence", f"``\n{own('f', F)}", (Says("``\n"), CALLS_F)),
    Case("backticks within a line are no fence", f"see ```\n{own('f', F)}", (Says("see ```\n"), CALLS_F)),
    Case("code within a line is no fence", f"```x``` is code\n{own('f', F)}", (Says("```x``` is code\n"), CALLS_F)),
    Case("code in backticks before a call", f"I use `f` now: {own('f', F)}", (Says("I use `f` now: "), CALLS_F)),
    Case("a very long line is no fence", "x" * 300 + f"```\n{own('f', F)}", (Says("x" * 300 + "```\n"), CALLS_F)),
    Case(
        "a very long fence",
        "`" * 250 + f"\n{own('f', F)}\n" + "`" * 210 + "\n" + own("f", F),
        (Says("`" * 250 + f"\n{own('f', F)}\n" + "`" * 210 + "\n"), CALLS_F),
    ),
    Case(
        "a fence does not outlive its text",
        ("```\nx", Thinks("Hm."), own("f", F)),
        (Says("```\nx"), Thinks("Hm."), CALLS_F),
    ),
    Case(
        "a quotation of a foreign call is text",
        "It says " + tagged('{"name":"f"}'),
        (Says("It says " + tagged('{"name":"f"}')),),
        quoted=("a page with " + tagged('{"name":"f"}') + " in it",),
    ),
    Case("a quotation of an XML call is text", xml("f", F), (Says(xml("f", F)),), quoted=(xml("f", F),)),
    Case(
        "a call that is not the quoted one is a call",
        tagged('{"name":"f"}'),
        (Calls("f", "{}"),),
        quoted=(tagged('{"name":"g"}'),),
    ),
    Case(
        "a neutralised tag in a quotation is text",
        '<call name="f">{"a": 1}</call>',
        (Says('<call name="f">{"a": 1}</call>'),),
    ),
)

FOREIGN = (
    Case("a foreign call", tagged('{"name": "f", "arguments": {"a": 1}}'), (CALLS_F,)),
    Case(
        "a foreign call on lines of its own",
        "So:\n" + tagged('\n{"name": "f", "arguments": {"a": 1}}\n') + "\n",
        (Says("So:\n"), CALLS_F),
    ),
    Case(
        "a foreign call keeps its arguments as written",
        tagged('{"name":"any","arguments":{"a" : 1.10, "b":1e2}}'),
        (Calls("any", '{"a" : 1.10, "b":1e2}'),),
    ),
    Case(
        "the plural of the tag", "<tool_calls>" + '{"name": "f", "arguments": {"a": 1}}' + "</tool_calls>", (CALLS_F,)
    ),
    Case("the tag with a space", "<tool call>" + '{"name": "f", "arguments": {"a": 1}}' + "</tool call>", (CALLS_F,)),
    Case(
        "an opening and a closing tag that differ",
        '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_calls>',
        (CALLS_F,),
    ),
    Case("the key tool", tagged('{"tool": "f", "arguments": {"a": 1}}'), (CALLS_F,)),
    Case("the key tool_name", tagged('{"tool_name": "f", "args": {"a": 1}}'), (CALLS_F,)),
    Case("the key function as a name", tagged('{"function": "f", "parameters": {"a": 1}}'), (CALLS_F,)),
    Case(
        "the key function as an object",
        tagged('{"id":"x","type":"function","function":{"name":"f","arguments":{"a": 1}}}'),
        (CALLS_F,),
    ),
    Case("arguments as a string of JSON", tagged(r'{"name":"f","arguments":"{\"a\": 1}"}'), (CALLS_F,)),
    Case(
        "arguments as a plain string are a command",
        tagged('{"name":"any","arguments":"ls"}'),
        (Calls("any", '{"command":"ls"}'),),
    ),
    Case("arguments beside the name", tagged('{"name":"f","id":"1","a":1}'), (Calls("f", '{"a":1}'),)),
    Case("no arguments at all", tagged('{"name":"any"}'), (Calls("any", "{}"),)),
    Case("null for arguments", tagged('{"name":"any","arguments":null}'), (Calls("any", "{}"),)),
    Case(
        "a foreign call in a fence within its tag",
        tagged('\n```json\n{"name": "f", "arguments": {"a": 1}}\n```\n'),
        (CALLS_F,),
    ),
    Case(
        "a lone backslash in a foreign call",
        tagged(r'{"name":"g","arguments":{"q":"C:\path"}}'),
        (Calls("g", r'{"q":"C:\\path"}'),),
    ),
    Case(
        "a raw line end in a foreign call",
        tagged('{"name":"g","arguments":{"q":"a\nb"}}'),
        (Calls("g", r'{"q":"a\nb"}'),),
    ),
    Case("a trailing comma in a foreign call", tagged('{"name": "f", "arguments": {"a": 1},}'), (CALLS_F,)),
    Case("an unbalanced tail in a foreign call", tagged('{"name": "f", "arguments": {"a": 1'), (CALLS_F,)),
    Case("a foreign call without its closing tag", '<tool_call>{"name": "f", "arguments": {"a": 1}}', (CALLS_F,)),
    Case("a foreign call without closing tag or brackets", '<tool_call>{"name": "f", "arguments": {"a": 1', (CALLS_F,)),
    Case(
        "several calls in one block",
        tagged('{"name": "f", "arguments": {"a": 1}}\n{"name": "f", "arguments": {"a": 1}}'),
        (CALLS_F, CALLS_F),
    ),
    Case(
        "a list of calls in one block",
        tagged('[{"name": "f", "arguments": {"a": 1}}, {"name": "any"}]'),
        (CALLS_F, Calls("any", "{}")),
    ),
    Case("several blocks", tagged('{"name": "f", "arguments": {"a": 1}}') * 3, (CALLS_F,) * 3),
    Case(
        "several calls in one block with one call allowed",
        tagged('[{"name": "f", "arguments": {"a": 1}}, {"name": "any"}]'),
        (CALLS_F,),
        parallel=False,
    ),
    Case(
        "a command without a name is the shell's",
        tagged('{"cmd":["ls","-l"]}'),
        (Calls("shell", '{"cmd":["ls","-l"]}'),),
    ),
    Case(
        "a command for a shell that calls it so",
        tagged('{"cmd" : ["ls"]}'),
        (Calls("bash", '{"command" : ["ls"]}'),),
        tools=(Tool("bash", parameters=schema('{"type":"object","properties":{"command":{"type":"array"}}}')),),
    ),
    Case("a command where no tool is a shell", tagged('{"cmd":["ls"]}'), (Asks("malformed"),), tools=(Tool("f"),)),
    Case(
        "a command where two tools are shells",
        tagged('{"cmd":["ls"]}'),
        (Asks("malformed"),),
        tools=(Tool("bash"), Tool("exec")),
    ),
    Case(
        "a closing tag within a string of a foreign call",
        tagged('{"name":"g","arguments":{"q":"</tool_call>"}}'),
        (Calls("g", '{"q":"</tool_call>"}'),),
    ),
    Case(
        "a free text in a foreign call",
        tagged('{"name":"note","arguments":{"input":"a\\nb"}}'),
        (Calls("note", "a\nb", "custom"),),
    ),
    Case(
        "a free text as a string in a foreign call",
        tagged('{"name":"note","arguments":"hello"}'),
        (Calls("note", "hello", "custom"),),
    ),
    Case("a foreign call of an unknown tool", tagged('{"name":"nope"}'), (Asks("malformed"),)),
    Case(
        "a foreign call of an unknown tool is text at last",
        tagged('{"name":"nope"}') + "!",
        (Says(tagged('{"name":"nope"}') + "!"),),
        last_chance=True,
    ),
    Case("a foreign call against the schema", tagged('{"name":"g","arguments":{}}'), (Asks("malformed"),)),
    Case(
        "a foreign call against the schema is text at last",
        tagged('{"name":"g","arguments":{}}'),
        (Says(tagged('{"name":"g","arguments":{}}')),),
        last_chance=True,
    ),
    stays("a foreign tag in prose", "Use <tool_call> tags, or <tool_calls>, and </tool_call>."),
    stays("a foreign block of prose", "<tool_call>not JSON</tool_call> and more"),
    stays("a foreign block without a name", tagged('{"a": 1}')),
    stays("a foreign block of broken JSON", tagged('{"name": oops}') + " and more"),
    stays("a foreign block of a list of numbers", tagged("[1, 2]")),
    stays("a half foreign tag", "see <tool_ca"),
    Case("a text behind a foreign call", tagged('{"name":"any"}') + " Done.", (Calls("any", "{}"), Says(" Done."))),
    Case("our own call behind a foreign one", tagged('{"name":"any"}') + own("f", F), (Calls("any", "{}"), CALLS_F)),
    Case("an XML call", xml("f", F), (CALLS_F,)),
    Case("an XML call with CDATA", xml("f", f"<![CDATA[{F}]]>"), (CALLS_F,)),
    Case("an XML call with a fence", xml("f", f"\n```json\n{F}\n```\n"), (CALLS_F,)),
    Case("an XML call with a fence in CDATA", xml("f", f"<![CDATA[\n```json\n{F}\n```\n]]>"), (CALLS_F,)),
    Case(
        "an XML call behind its trigger", "Now.\n<Function_chat2api_Start/>\n" + xml("f", F), (Says("Now.\n"), CALLS_F)
    ),
    Case("a trigger with a line between", "<Function_chat2api_Start/>\n\n" + xml("f", F), (CALLS_F,)),
    stays("a trigger alone", "<Function_chat2api_Start/>\nand nothing"),
    stays("a half trigger at the end", "<Function_chat2api_St"),
    Case(
        "several calls in one XML block",
        xml("f", F).replace("</function_calls>", "") + xml("f", F).replace("<function_calls>", "\n"),
        (CALLS_F, CALLS_F),
    ),
    Case("an XML block without its end", xml("f", F).removesuffix("</function_calls>"), (CALLS_F,)),
    Case(
        "an XML call on lines",
        "<function_calls>\n<function_call>\n <tool> f </tool>\n <args_json>\n"
        + F
        + "\n</args_json>\n</function_call>\n</function_calls>",
        (CALLS_F,),
    ),
    Case("an XML call of an unknown tool", xml("nope", F), (Asks("malformed"),)),
    Case("an XML call with missing brackets", xml("f", '{"a": 1'), (CALLS_F,)),
    stays("an XML call with prose for arguments", xml("f", "a = 1")),
    stays("an XML block without calls", "<function_calls></function_calls>"),
    stays("an XML block of something else", "<function_calls>\n<invoke name='f'></invoke></function_calls>"),
)

REFUSALS = (
    Case(
        "a denial is asked about",
        "I can't access your files. Please paste them.",
        (Asks("refused"),),
        refusal_retries=3,
    ),
    Case(
        "a denial at the very end is asked about",
        "I don't have access to your files",
        (Asks("refused"),),
        refusal_retries=3,
    ),
    Case(
        "a denial stays when that is off",
        "I can't access your files. Sorry.",
        (Says("I can't access your files. Sorry."),),
    ),
    Case(
        "a denial behind two sentences stays",
        "It is so. It is. I can't access your files. ",
        (Says("It is so. It is. I can't access your files. "),),
        refusal_retries=3,
    ),
    Case(
        "a denial before a call is let through",
        "I can't access your files " + own("f", F),
        (Says("I can't access your files "), CALLS_F),
        refusal_retries=3,
    ),
    Case(
        "a denial behind a call stays",
        own("f", F) + "I can't access your files. ",
        (CALLS_F, Says("I can't access your files. ")),
        refusal_retries=3,
    ),
    Case(
        "an excuse and a denial are asked about",
        "I'm sorry. I can't run commands on your machine. ",
        (Asks("refused"),),
        refusal_retries=1,
    ),
    Case(
        "a plain answer passes the judgement",
        "The file is in /workspace/src. Read it there.",
        (Says("The file is in /workspace/src. Read it there."),),
        refusal_retries=3,
    ),
    Case(
        "a denial in reasoning is no denial",
        (Thinks("I can't access your files. "), "Done."),
        (Thinks("I can't access your files. "), Says("Done.")),
        refusal_retries=3,
    ),
)

TABLE: tuple[Case, ...] = (*CALLS, *SLIPS, *CUSTOM, *TEXTS, *QUOTES, *FOREIGN, *REFUSALS)
