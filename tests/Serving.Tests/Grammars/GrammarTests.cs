using System.Text;
using System.Text.RegularExpressions;
using TokenMill.Serving.Grammars;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Grammars;

public sealed class GrammarTests
{
    [Theory]
    [InlineData("root ::= \"a\" | \"bc\" root", "a|bc(a|bc(a|bcbca))")]
    [InlineData("root ::= [a-c]{2,3} x*\nx ::= \"é\" # a comment\n  | \"x\"", "[a-c]{2,3}(é|x)*")]
    [InlineData("root ::= (\"ab\"+ | [^a-yé]?) \".\"", "(?:(ab)+|[^a-yé]?)\\.")]
    [InlineData("root ::= \"a\"{,2} | \"b\"{3}", null)]
    [InlineData("root ::= \"a\"{0,2} | \"b\"{3} | \"\\x63\\u00e9\" .", "a{0,2}|b{3}|cé(?s:.)")]
    public void Text_IsOfTheGrammar_WhereTheRegularExpressionSaysSo(string grammar, string? expression)
    {
        if (expression is null)
        {
            Assert.Throws<RefusedException>(() => GrammarText.Parse(grammar));
            return;
        }
        var (automaton, whole) = (new GrammarAutomaton(GrammarText.Parse(grammar)), new Regex($"^(?:{expression})\\z", RegexOptions.CultureInvariant));
        foreach (var text in Texts(["a", "b", "c", "x", "z", ".", "é", "訓"], 4)) Assert.Equal(whole.IsMatch(text), Accepts(automaton, text));
    }

    [Fact]
    public void Characters_EveryRange_MatchesWholeCharactersOnly()
    {
        var random = new Random(3);
        int[] edges = [0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF];
        for (var i = 0; i < 300; i++)
        {
            int Point() => random.Next(2) == 0 ? edges[random.Next(edges.Length)] : random.Next(0x110000) is var c && c is >= 0xD800 and <= 0xDFFF ? 0x20 : c;
            var (a, b) = (Point(), Point());
            var (first, last) = (Math.Min(a, b), Math.Max(a, b));
            var automaton = new GrammarAutomaton(GrammarText.Parse($"root ::= [\\U{first:X8}-\\U{last:X8}]"));
            foreach (var point in edges.Concat([first, last, first - 1, last + 1, Point(), Point()]).Where(p => p is >= 0 and <= 0x10FFFF && p is < 0xD800 or > 0xDFFF and <= 0x10FFFF))
            {
                Assert.Equal(point >= first && point <= last, Accepts(automaton, char.ConvertFromUtf32(point)));
                Assert.False(automaton.Walk(automaton.Start, Encoding.UTF8.GetBytes(char.ConvertFromUtf32(point))[..^1]).CanEnd);
            }
        }
    }

    [Theory]
    [InlineData("root ::= root \"a\"")]
    [InlineData("root ::= x \"a\"\nx ::= y | \"b\"\ny ::= \"\" x")]
    [InlineData("root ::= (\"a\"?)*")]
    [InlineData("root ::= \"a\"{1,2000000000}")]
    [InlineData("root ::= other")]
    [InlineData("root ::= \"a")]
    [InlineData("root ::= [z-a]")]
    [InlineData("root ::= \"a\" )")]
    [InlineData("rule ::= \"a\"")]
    [InlineData("root ::= \"\\ud800\"")]
    public void Parse_HostileOrBroken_IsRefused(string grammar) => Assert.Throws<RefusedException>(() => GrammarText.Parse(grammar));

    [Fact]
    public void Parse_GroupsNestedWithoutEnd_AreRefused() => Assert.Throws<RefusedException>(() => GrammarText.Parse("root ::= " + new string('(', 100_000)));

    [Fact]
    public void Walk_MoreReadingsWithEachCharacter_EndsInAnError()
    {
        var automaton = new GrammarAutomaton(GrammarText.Parse("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\""));
        Assert.Throws<GrammarAmbiguousException>(() => automaton.Walk(automaton.Start, Encoding.ASCII.GetBytes(new string('a', 40))));
    }

    internal static bool Accepts(GrammarAutomaton automaton, string text) => automaton.Walk(automaton.Start, Encoding.UTF8.GetBytes(text)).CanEnd;

    private static IEnumerable<string> Texts(string[] alphabet, int most) =>
        most == 0 ? [""] : Texts(alphabet, most - 1).SelectMany(t => t.Length < most - 1 ? [t] : alphabet.Select(c => t + c).Append(t)).Distinct();
}
