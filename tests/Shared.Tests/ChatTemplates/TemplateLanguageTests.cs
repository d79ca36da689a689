using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Shared.Tests.ChatTemplates;

/// <summary>The language itself, with what CPython 3.11 and Jinja2 3.1.6 answer.</summary>
public sealed class TemplateLanguageTests
{
    private const string Variables = """{"s": "Hello, wörld! 😀", "l": [3, 1, 2], "d": {"b": 1, "A": [1, 2]}, "f": 2.5, "n": null, "m": [{"role": "user", "n": 3}, {"role": "assistant", "n": 1}]}""";

    [Theory]
    [InlineData("{{ s[::-1] }}", "😀 !dlröw ,olleH")]
    [InlineData("{{ s[-1] }}{{ s|length }}", "😀15")]
    [InlineData("{{ l|batch(2, 'x')|list }} {{ l|slice(2)|list }}", "[[3, 1], [2, 'x']] [[3, 1], [2]]")]
    [InlineData("{{ m|groupby('role') }}", "[('assistant', [{'role': 'assistant', 'n': 1}]), ('user', [{'role': 'user', 'n': 3}])]")]
    [InlineData("{{ m|selectattr('n', '>=', 2)|map(attribute='role')|join }}", "user")]
    [InlineData("{{ 'a very long-hyphenated sentence'|wordwrap(10) }}", "a very\nlong-\nhyphenated\nsentence")]
    [InlineData("{{ 'one two three'|truncate(8) }}", "one two three")]
    [InlineData("{{ 'one two three'|truncate(8, leeway=0) }}", "one...")]
    [InlineData("{{ 2.675|round(2) }} {{ 2.5|round }} {{ 1250|round(-2) }}", "2.67 2.0 1200")]
    [InlineData("{{ '0x1f'|int(base=16) }} {{ '1e3'|int }} {{ 'x'|int(7) }} {{ '1_000'|int }}", "31 1000 7 1000")]
    [InlineData("{{ 1e22 }} {{ 1e23 }} {{ 123456789.123 }} {{ 5e-324 }} {{ -0.0 }}", "1e+22 1e+23 123456789.123 5e-324 -0.0")]
    [InlineData("{{ 99999999999999999999 // 3 }} {{ 2 ** 64 }} {{ 99999999999999999999 / 3 }}", "33333333333333333333 18446744073709551616 3.333333333333333e+19")]
    [InlineData("{{ -7 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}", "-4 0.5 64 4")]
    [InlineData("{{ '%5.2f|%-6s|%+d|%#x|%r' % (3.14159, 'ab', 5, 255, 'q') }}", " 3.14|ab    |+5|0xff|'q'")]
    [InlineData("{{ '{:>6}|{:^7}|{:,}|{:.1%}|{0[role]}'.format('a', 'b', 1234567, 0.256) if false else '{:>6}|{:^7}|{:,}|{:.1%}'.format('a', 'b', 1234567, 0.256) }}", "     a|   b   |1,234,567|25.6%")]
    [InlineData("{{ {'b': 1, 'a': [true, none, 1.0]}|tojson(indent=1, sort_keys=true) }}", "{\n \"a\": [\n  true,\n  null,\n  1.0\n ],\n \"b\": 1\n}")]
    [InlineData("{{ 'é\u2028'|tojson(ensure_ascii=true) }}", "\"\\u00e9\\u2028\"")]
    [InlineData("{{ \"they're bill's\".title() }} {{ \"they're bill's\"|title }}", "They'Re Bill'S They're Bill's")]
    [InlineData("{{ 'straße ﬁ'.upper() }} {{ 'ΑΣ'.lower() }}", "STRASSE FI ας")]
    [InlineData("{{ ' a  b '.split() }} {{ 'a  b  c'.rsplit(none, 1) }} {{ 'a-b-c'.rpartition('-') }}", "['a', 'b'] ['a  b', 'c'] ('a-b', '-', 'c')")]
    [InlineData("{{ ['\\x00\\xa0\\u200b\\ue000', \"it's\", 'a\\'b\"c'] }}", "['\\x00\\xa0\\u200b\\ue000', \"it's\", 'a\\'b\"c']")]
    [InlineData("{{ (1,) }} {{ () }} {{ {1: 'a', none: (2, 3)} }}", "(1,) () {1: 'a', None: (2, 3)}")]
    [InlineData("{{ {'a': 1, 1: 2, true: 3, 1.0: 4} }}", "{'a': 1, 1: 4}")]
    [InlineData("{{ range(1, 10, 3) }} {{ range(10)[2:5]|list }}", "range(1, 10, 3) [2, 3, 4]")]
    [InlineData("{% for i in l %}{% break %}{% else %}never finished{% endfor %}", "never finished")]
    [InlineData("{% set g = l|map('string') %}{% for i in g %}{{ i }}{% endfor %}{% for i in g %}{{ i }}{% endfor %}.", "312.")]
    [InlineData("{% macro f(a, b=a) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, z=4) }}{{ f(5) }}", "12(3,){'z': 4}55(){}")]
    [InlineData("{% macro f() %}{{ caller('z') }}{% endmacro %}{% call(u) f() %}[{{ u }}]{% endcall %}", "[z]")]
    [InlineData("{% for i in [{'c': [{'c': []}]}] recursive %}<{{ loop.depth }}{{ loop(i.c) }}>{% endfor %}", "<1<2>>")]
    [InlineData("{% set v = 1 %}{% macro f() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ f() }}", "2")]
    [InlineData("{% set a = 5 %}{% with a=1, b=a %}{{ b }}{% endwith %}", "5")]
    [InlineData("{% if false %}{{ 1|nope }}{% endif %}fine", "fine")]
    [InlineData("{{ d.pop is defined }}{{ d['__class__'] is defined }}{{ n.x is defined }}", "FalseFalseFalse")]
    [InlineData("a\n  {%+ if true %}b{% endif %}\n  {# c #}\nd", "a\n  bd")]
    [InlineData("{% raw %}{{ x }}{% endraw %}{{ '}}' }}", "{{ x }}}}")]
    [InlineData("{{ ('<b>'|safe) + '<i>' }}{{ ('%s'|safe) % '<' }}", "<b>&lt;i&gt;&lt;")]
    [InlineData("{{ '\\101\\x41\\u0041\\q' }}", "AAA\\q")]
    [InlineData("{{ cycler('x', 'y').next() }}{% set j = joiner('|') %}{{ j() }}{{ j() }}", "x|")]
    [InlineData("{{ strftime_now('%-d %B %Y, %I:%M %p, day %j, week %V') }}", "21 November 2026, 10:30 AM, day 325, week 47")]
    public void Expression_RendersAsInPython(string template, string expected) =>
        Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{{ ''.__class__.__mro__ }}", "SecurityError")]
    [InlineData("{{ l.append(4) }}", "SecurityError")]
    [InlineData("{{ '{0.__class__.__init__}'.format(s) }}", "SecurityError")]
    [InlineData("{{ missing.x }}", "UndefinedError")]
    [InlineData("{{ 'a' + 1 }}", "TypeError")]
    [InlineData("{{ [1, 'a']|sort }}", "TypeError")]
    [InlineData("{{ 1 / 0 }}", "ZeroDivisionError")]
    [InlineData("{{ 10 ** 4400 }}", "ValueError")]
    [InlineData("{{ 1|nope }}", "TemplateAssertionError")]
    [InlineData("{% if false %}{% for i in l %}{{ i|nope }}{% endfor %}{% endif %}", "TemplateAssertionError")]
    [InlineData("{% for i in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", "TemplateSyntaxError")]
    [InlineData("{{ 'unterminated }}", "TemplateSyntaxError")]
    [InlineData("{% include 'x' %}", "TypeError")]
    public void Mistake_GivesPythonsError(string template, string type) =>
        Assert.Equal(type, Assert.Throws<TemplateException>(() => Render(template)).ErrorType);

    [Fact]
    public void RaiseException_PassesItsTextThrough()
    {
        var refusal = Assert.Throws<TemplateException>(() => Render("{{ raise_exception('Rôles: ' ~ m[0].role) }}"));
        Assert.Equal((TemplateErrorKind.RaiseException, "Rôles: user"), (refusal.Kind, refusal.Message));
    }

    [Fact]
    public void HalfASurrogatePair_GoesThroughUnchanged()
    {
        var messages = JsonNode.Parse("""["\ud83d", "a\ude00b"]""")!.AsArray();
        Assert.Equal("\ud83d|1|a\ude00b|3|b\ude00a", ChatTemplate.Parse("{{ messages[0] }}|{{ messages[0]|length }}|{{ messages[1] }}|{{ messages[1]|length }}|{{ messages[1][::-1] }}").Render(messages, null, false, null, null));
    }

    private static string Render(string template) => ChatTemplate.Parse(template)
        .Render([], null, false, null, null, JsonNode.Parse(Variables)!.AsObject(), new DateTimeOffset(2026, 11, 21, 10, 30, 0, TimeSpan.Zero));
}
