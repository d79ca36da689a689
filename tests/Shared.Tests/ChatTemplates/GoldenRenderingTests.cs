using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Shared.Tests.ChatTemplates;

/// <summary>Against renderings of the transformers library, character by character.</summary>
public sealed class GoldenRenderingTests(ITestOutputHelper output)
{
    [Fact]
    public void Templates_AllCases_RenderAsTransformers()
    {
        var templates = new Dictionary<string, ChatTemplate>();
        var differences = new List<string>();
        var count = 0;
        foreach (var @case in TemplateCases.Read("golden/templates/cases.jsonl"))
        {
            var name = TemplateCases.Text(@case["template"])!;
            if (!templates.TryGetValue(name, out var template)) templates[name] = template = ChatTemplate.Parse(TemplateCases.Source(@case));
            var difference = TemplateCases.Difference(@case, () => TemplateCases.Render(template, @case, @case["messages"]!.AsArray(), @case["add_generation_prompt"]!.GetValue<bool>()));
            if (difference is not null) differences.Add($"{name} {difference}");
            count++;
        }
        output.WriteLine($"{count - differences.Count} of {count} renderings of {templates.Count} templates agree");
        Assert.True(differences.Count == 0, string.Join('\n', differences.Take(5)));
        Assert.Equal(834, count);
    }

    [Fact]
    public void Language_AllCases_RenderAsJinja()
    {
        var differences = TemplateCases.Read("golden/jinja-language.jsonl").Select(@case =>
        {
            var variables = @case["context"]!.DeepClone().AsObject();
            var messages = variables["messages"]?.DeepClone() as JsonArray ?? [];
            var prompt = variables["add_generation_prompt"]?.GetValue<bool>() ?? false;
            return TemplateCases.Difference(@case, () => ChatTemplate.Parse(TemplateCases.Text(@case["template"])!).Render(messages, null, prompt, null, null, variables, TemplateCases.Now(@case)));
        }).OfType<string>().ToList();
        Assert.True(differences.Count == 0, string.Join('\n', differences.Take(5)));
    }

    [Fact]
    public void LabelMasks_EveryConversation_GiveTheSameSpans()
    {
        var spans = 0;
        foreach (var @case in TemplateCases.Read("golden/templates/label-masks.jsonl"))
        {
            var name = $"{@case["template"]} {@case["case"]}";
            var template = ChatTemplate.Parse(TemplateCases.Source(@case));
            var messages = @case["messages"]!.AsArray();
            if (@case["error"] is not null)
            {
                Assert.Null(TemplateCases.Difference(@case, () => TemplateCases.Render(template, @case, messages, false)));
                continue;
            }
            var whole = TemplateCases.Render(template, @case, messages, addGenerationPrompt: false);
            Assert.Equal(TemplateCases.Text(@case["expected"]), whole);
            foreach (var turn in @case["turns"]!.AsArray())
            {
                var index = turn!["message"]!.GetValue<int>();
                var prompt = TemplateCases.Render(template, @case, First(messages, index), addGenerationPrompt: true);
                var turnText = TemplateCases.Render(template, @case, First(messages, index + 1), addGenerationPrompt: false);
                var isPrefix = turnText.StartsWith(prompt, StringComparison.Ordinal);
                Assert.True(turn["prompt_is_prefix_of_turn"]!.GetValue<bool>() == isPrefix, name);
                Assert.True(turn["turn_is_prefix_of_whole"]!.GetValue<bool>() == whole.StartsWith(turnText, StringComparison.Ordinal), name);
                if (turn["span"] is JsonArray span) Assert.Equal([.. span.Select(s => s!.GetValue<int>())], new[] { CodePoints(prompt), CodePoints(turnText) });
            }
            if (@case["spans_utf16"] is not JsonArray expected) continue;
            var texts = @case["texts"]!.AsArray();
            for (var i = 0; i < expected.Count; i++, spans++)
            {
                var (begin, end) = (expected[i]![0]!.GetValue<int>(), expected[i]![1]!.GetValue<int>());
                Assert.Equal(TemplateCases.Text(texts[i]), whole[begin..end]);
            }
        }
        output.WriteLine($"{spans} supervised spans agree");
        Assert.True(spans > 0);
    }

    private static JsonArray First(JsonArray messages, int count) => new([.. messages.Take(count).Select(m => m!.DeepClone())]);

    private static int CodePoints(string text) => text.EnumerateRunes().Count();
}
