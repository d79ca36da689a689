using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Shared.Tests.ChatTemplates;

/// <summary>Whatever stands in a template, parsing and rendering end with a text or a <see cref="TemplateException"/>.</summary>
public sealed class TemplateMutationTests(ITestOutputHelper output)
{
    private const int MutationsPerTemplate = 150, RandomTemplates = 3000;

    private static readonly string[] Pieces =
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", " if ", " else ", " for ", " in ", " is ", " not ", "endif", "endfor", "set ", "macro f(a)", "endmacro", "call ", "filter ",
        "|tojson", "|map('upper')", "|selectattr('a')", "|sort", "|join(', ')", "|int", "|float", "|length", "|groupby('role')", "|batch(2)", "|indent", "|round(2)", "|format(1)", ".items()", ".split(',')",
        ".format(1)", "[0]", "[::-1]", "[1:]", "(1,)", "{'a': 1}", "messages", "loop.index", "loop.length", "namespace(a=1)", "range(3)", "none", "true", "1.5", "12", "'x'", "\"%s\"", "+", "-", "*", "/", "//", "%", "**", "~",
        "==", "<", "and ", "or ", ".", ",", "|", "(", ")", "[", "]", "{", "}", "\\", "'", "\n", " ", "😀", "\ud800", "é", "break", "continue", "recursive", "varargs", "kwargs", "caller()", "raw", "endraw", "generation",
    ];

    private static readonly JsonArray Messages = JsonNode.Parse("""
        [{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "a\nb"}]},
         {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": 1.5, "y": [null, true]}}}]},
         {"role": "tool", "content": "\ud83d", "name": "f"}, {"role": "assistant", "content": "<think>t</think>done"}]
        """)!.AsArray();

    [Fact]
    public void Render_OfDamagedTemplates_ThrowsNothingElse()
    {
        var random = new Random(20261125);
        var outcomes = new Dictionary<string, int>();
        var slowest = 0.0;
        foreach (var source in TemplateCases.AllSources())
            for (var i = 0; i < MutationsPerTemplate; i++)
                slowest = Math.Max(slowest, Try(Mutate(source, random), outcomes));
        output.WriteLine($"{string.Join(", ", outcomes.Select(o => $"{o.Key} {o.Value}"))}; slowest {slowest:0} ms");
        Assert.True(outcomes["text"] > 100 && outcomes["template_error"] > 100);
    }

    [Fact]
    public void Render_OfRandomTemplates_ThrowsNothingElse()
    {
        var random = new Random(7);
        var outcomes = new Dictionary<string, int>();
        for (var i = 0; i < RandomTemplates; i++)
        {
            var inside = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => Pieces[random.Next(Pieces.Length)]));
            Try(random.Next(3) switch { 0 => "{{ " + inside + " }}", 1 => "{% for m in messages %}{{ " + inside + " }}{% endfor %}", _ => inside }, outcomes);
        }
        output.WriteLine(string.Join(", ", outcomes.Select(o => $"{o.Key} {o.Value}")));
    }

    private static double Try(string template, Dictionary<string, int> outcomes)
    {
        var watch = Stopwatch.StartNew();
        string outcome;
        try
        {
            ChatTemplate.Parse(template).Render(Messages, null, true, "<s>", null);
            outcome = "text";
        }
        catch (TemplateException e)
        {
            outcome = e.Code;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.GetType().Name} from: {template}", e);
        }
        outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
        return watch.Elapsed.TotalMilliseconds;
    }

    private static string Mutate(string source, Random random)
    {
        for (var edits = random.Next(1, 4); edits > 0; edits--)
        {
            var at = random.Next(source.Length + 1);
            var length = Math.Min(random.Next(1, 30), source.Length - at);
            source = random.Next(4) switch
            {
                0 => source.Remove(at, length),
                1 => source.Insert(at, Pieces[random.Next(Pieces.Length)]),
                2 => source.Remove(at, length).Insert(at, Pieces[random.Next(Pieces.Length)]),
                _ => source.Insert(random.Next(source.Length + 1), source.Substring(at, length)),
            };
        }
        return source;
    }
}
