using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Data;

namespace TokenMill.Training.Tests.Data;

public sealed class TrainingDataTests : IDisposable
{
    private const int Vocabulary = 50_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-data-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Load_TokenRows_AreTakenAsTheyAreInOrder()
    {
        var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate("golden/smollm2/lora_qv_r4/golden.json")))!;
        var rows = golden["batches"]!.AsArray().SelectMany(b => b!.AsArray()).Select(e => (Ids: Ints(e!["ids"]!), Labels: Ints(e["labels"]!))).ToList();
        var path = Write(rows.Select(r => $$"""{"ids":[{{Join(r.Ids)}}],"labels":[{{Join(r.Labels)}}]}"""));
        using var data = Load(Spec(path, "tokens") with { Shuffle = false, BatchSize = 4, Accumulation = 1 });
        Assert.Equal(20, data.StepsPerEpoch);
        for (var step = 0; step < 40; step++)
        {
            var examples = data.Step(step);
            Assert.Equal(4, examples.Count);
            for (var i = 0; i < 4; i++)
            {
                Assert.Equal(rows[(step * 4 + i) % rows.Count].Ids, examples[i].Ids);
                Assert.Equal(rows[(step * 4 + i) % rows.Count].Labels, examples[i].Labels);
            }
        }
        Assert.Equal(rows.Sum(r => r.Ids.Length), data.Tokens);
        Assert.Empty(data.Warnings);
    }

    [Fact]
    public void Load_LabelsOtherThanTheIds_SurviveTheStore()
    {
        var path = Write(["""{"ids":[5,6,7],"labels":[-100,9,7]}""", """{"ids":[0,1],"labels":[-100,1]}""", """{"ids":[0,0],"labels":[0,0]}"""]);
        using var data = Load(Spec(path, "tokens") with { Shuffle = false });
        var step = data.Step(0);
        Assert.Equal([-100, 9, 7], step[0].Labels);
        Assert.Equal([-100, 1], step[1].Labels);
        Assert.Equal([0, 0], step[2].Labels);
        Assert.Equal([0, 0], step[2].Ids);
    }

    [Fact]
    public void Load_Preferences_ComeInPairs()
    {
        var pair = (int c, int r) => $$$"""{"chosen":{"ids":[1,{{{c}}}],"labels":[-100,{{{c}}}]},"rejected":{"ids":[1,{{{r}}}],"labels":[-100,{{{r}}}]}}""";
        var path = Write([pair(2, 3), pair(4, 5), pair(6, 7)]);
        using var data = Load(Spec(path, "tokens") with { Shuffle = false, BatchSize = 2, Accumulation = 1, Method = TrainingMethod.Dpo });
        Assert.Equal(2, data.AnswersPerExample);
        Assert.Equal(2, data.StepsPerEpoch);
        Assert.Equal([2, 3, 4, 5], data.Step(0).Select(e => e.Ids[1]));
        Assert.Equal([6, 7], data.Step(1).Select(e => e.Ids[1]));
    }

    [Fact]
    public void Load_ValidationFraction_SplitsByContentWhateverTheOrder()
    {
        var rows = Enumerable.Range(0, 2_000).Select(i => $$"""{"ids":[1,{{i + 2}}],"labels":[-100,{{i + 2}}]}""").ToList();
        var split = HeldOut(rows);
        Assert.InRange(split.Count, 160, 240);
        Assert.Equal(split, HeldOut([.. rows.AsEnumerable().Reverse()]));
        Assert.Equal(split.Where(id => id < 1_002), HeldOut([.. rows.Take(1_000)]));            // rows that come later move no row

        SortedSet<int> HeldOut(List<string> lines)
        {
            using var data = Load(Spec(Write(lines), "tokens") with { Validation = new ValidationSpec { Fraction = 0.1 } });
            var held = new SortedSet<int>(data.Validation(0, data.ValidationCount).Select(e => e.Ids[1]));
            var trained = Enumerable.Range(0, data.StepsPerEpoch).SelectMany(s => data.Step(s)).Select(e => e.Ids[1]).ToHashSet();
            Assert.Equal(lines.Count, held.Count + trained.Count);
            Assert.DoesNotContain(held, trained.Contains);
            return held;
        }
    }

    [Theory]
    [InlineData(Overflow.Truncate, new[] { 4, 3, 0 }, 1)]
    [InlineData(Overflow.Drop, new[] { 3 }, 0)]
    [InlineData(Overflow.Split, new[] { 4, 2, 3, 2 }, 0)]
    public void Load_RowsBeyondTheLimit_AreFittedAndCounted(Overflow overflow, int[] lengths, int lost)
    {
        // The second long row is supervised only behind the limit: cut, nothing of it is left to learn.
        var path = Write(["""{"ids":[1,2,3,4,5,6],"labels":[1,2,3,4,5,6]}""", """{"ids":[7,8,9],"labels":[7,8,9]}""", """{"ids":[1,2,3,4,5,6],"labels":[-100,-100,-100,-100,-100,6]}"""]);
        using var data = Load(Spec(path, "tokens") with { Shuffle = false, Overflow = overflow }, maxLength: 4);
        Assert.Equal(lengths.Where(l => l > 0), data.Step(0).Select(e => e.Ids.Length));
        var warning = Assert.Single(data.Warnings);
        Assert.Equal("too-long", warning.Code);
        Assert.Contains("2 examples", warning.Message, StringComparison.Ordinal);
        Assert.Equal(lost > 0, warning.Message.Contains("nothing to learn", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Overflow.Split, 1, "cut")]
    [InlineData(Overflow.Drop, 0, "left out")]
    public void Load_PairsBeyondTheLimit_AreNeverSplit(Overflow overflow, int kept, string told)
    {
        static string Side(int length) => $$"""{"ids":[{{Join([.. Enumerable.Range(1, length)])}}],"labels":[{{Join([.. Enumerable.Range(1, length)])}}]}""";
        var path = Write([$$"""{"chosen":{{Side(3)}},"rejected":{{Side(9)}}}""", $$"""{"chosen":{{Side(2)}},"rejected":{{Side(3)}}}"""]);
        using var data = Load(Spec(path, "tokens") with { Method = TrainingMethod.Dpo, Overflow = overflow, Shuffle = false }, maxLength: 4);
        Assert.Equal(1 + kept, data.ExamplesPerEpoch);
        Assert.All(data.Step(0), example => Assert.InRange(example.Ids.Length, 2, 4));
        Assert.Contains(told, Assert.Single(data.Warnings).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"ids":[5,6],"labels":[-100,-100]}""", "nothing-supervised")]
    [InlineData("""{"ids":[5,6],"labels":[5,-100]}""", "nothing-supervised")]          // nothing stands before a first token
    [InlineData("""{"ids":[5,60000],"labels":[-100,6]}""", "unknown-token")]
    [InlineData("""{"ids":[5,-1],"labels":[-100,6]}""", "unknown-token")]
    [InlineData("""{"ids":[5,6],"labels":[-100,-7]}""", "unknown-token")]
    [InlineData("""{"ids":[5,6],"labels":[6]}""", "length-mismatch")]
    [InlineData("""{"ids":[5,6.5],"labels":[-100,6]}""", "data-type")]
    [InlineData("""{"ids":[5,6]}""", "missing-key")]
    [InlineData("""{"chosen":{"ids":[5],"labels":[5]},"rejected":{"ids":[5],"labels":[5]}}""", "not-sequences")]
    public void Load_BadTokenRow_StopsTheRunAndNamesTheRow(string row, string code)
    {
        var path = Write(["""{"ids":[1,2],"labels":[-100,2]}""", row]);
        var refused = Assert.Throws<RefusedException>(() => Load(Spec(path, "tokens")));
        Assert.Equal(code, refused.Error.Code);
        Assert.Contains("row 2", refused.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Conversations_SetsBadRowsAsideAndSaysSo()
    {
        var path = Write(["""{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""", """{"messages":[]}""", """{"messages":[{"role":"user","content":"refuse"},{"role":"assistant","content":"b"}]}"""]);
        using var data = Load(Spec(path, "auto"), encoder: Characters());
        Assert.Equal(1, data.ExamplesPerEpoch);
        Assert.Equal("u:a a:b.", new string([.. data.Step(0)[0].Ids.Select(id => (char)id)]));
        Assert.Equal("b.", new string([.. data.Step(0)[0].Labels.Where(l => l > 0).Select(l => (char)l)]));
        Assert.Equal(["rows-set-aside", "template-refused"], data.Warnings.Select(w => w.Code));
        Assert.Contains("row 2", data.Warnings[0].Message, StringComparison.Ordinal);
        Assert.Contains("row 3", data.Warnings[1].Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(LearnedTurns.All, "b.d.")]
    [InlineData(LearnedTurns.Last, "d.")]
    public void Load_Conversations_LearnTheTurnsAskedFor(LearnedTurns turns, string learned)
    {
        var row = """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}""";
        using var data = Load(Spec(Write([row]), "auto") with { TrainOn = turns }, encoder: Characters());
        Assert.Equal(learned, new string([.. data.Step(0)[0].Labels.Where(l => l > 0).Select(l => (char)l)]));
        Assert.Equal("u:a a:b.u:c a:d.", new string([.. data.Step(0)[0].Ids.Select(id => (char)id)]));
    }

    [Fact]
    public void Load_Texts_LearnEveryTokenAndTheEnd()
    {
        using var data = Load(Spec(Write(["""{"text":"ab"}"""]), "auto") with { Method = TrainingMethod.Pretrain });
        Assert.Equal([1, 'a', 'b', 2], data.Step(0)[0].Ids);
        Assert.Equal(data.Step(0)[0].Ids, data.Step(0)[0].Labels);
    }

    [Fact]
    public void Load_PreferenceRows_LearnBothAnswersAndNothingOfThePrompt()
    {
        var path = Write(["""{"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"x"},{"role":"user","content":"r"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}]}"""]);
        using var data = Load(Spec(path, "auto") with { Method = TrainingMethod.Dpo }, encoder: Characters());
        Assert.Equal(["good.", "bad."], data.Step(0).Select(e => new string([.. e.Labels.Where(l => l > 0).Select(l => (char)l)])));
        Assert.All(data.Step(0), e => Assert.StartsWith("u:q a:x.u:r a:", new string([.. e.Ids.Select(id => (char)id)]), StringComparison.Ordinal));
    }

    [Fact]
    public void Load_NoGoodRow_SaysWhy()
    {
        var refused = Assert.Throws<RefusedException>(() => Load(Spec(Write(["""{"messages":[]}"""]), "auto"), encoder: Characters()));
        Assert.Equal("missing-messages-list", refused.Error.Code);
        Assert.Equal("data-not-found", Assert.Throws<RefusedException>(() => Load(Spec(Path.Combine(_folder, "none"), "auto"))).Error.Code);
    }

    [Fact]
    public void Load_Weights_RepeatASource()
    {
        var first = Write(["""{"ids":[1,2],"labels":[-100,2]}""", """{"ids":[1,3],"labels":[-100,3]}"""]);
        var second = Write(["""{"ids":[1,4],"labels":[-100,4]}"""]);
        using var data = Load(Spec(first, "tokens") with { Data = [new() { Path = first, Format = "tokens" }, new() { Path = second, Format = "tokens", Weight = 3 }] });
        Assert.Equal([2, 3, 4, 4, 4], data.Step(0).Select(e => e.Ids[1]).Order());
    }

    [Fact]
    public void Load_WhenItEnds_LeavesNothingInTheFolder()
    {
        using (Load(Spec(Write(["""{"ids":[1,2],"labels":[-100,2]}"""]), "tokens"))) Assert.Single(Directory.EnumerateFileSystemEntries(_folder));    // the rows themselves
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder));
    }

    private TrainingData Load(FineTuneSpec spec, ConversationEncoder? encoder = null, int maxLength = 1024) =>
        new TrainingDataLoader(spec, encoder, text => [1, .. text.Select(c => (int)c), 2], Vocabulary, maxLength, _folder).Load(TestContext.Current.CancellationToken);

    private FineTuneSpec Spec(string path, string format) => new() { Model = "m", Output = _folder, Data = [new() { Path = path, Format = format }] };

    private string Write(IEnumerable<string> lines)
    {
        var path = Path.Combine(_folder, $"{Guid.NewGuid():N}.jsonl");
        File.WriteAllLines(path, lines);
        return path;
    }

    /// <summary>A character a token, and a template that takes everything but one word.</summary>
    private static ConversationEncoder Characters()
    {
        const string Template = "{% for m in messages %}{% if m.content == 'refuse' %}{{ raise_exception('not this') }}{% endif %}{{ m.role[0] + ':' + m.content + ('.' if m.role == 'assistant' else ' ') }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
        int[] Tokens(string text) => [.. text.Select(c => (int)c)];
        return new ConversationEncoder(new ModelChatTemplate(ChatTemplate.Parse(Template), null, null), Tokens, Tokens, []);
    }

    private static int[] Ints(JsonNode list) => [.. list.AsArray().Select(i => i!.GetValue<int>())];

    private static string Join(int[] values) => string.Join(',', values.Select(v => v.ToString(CultureInfo.InvariantCulture)));
}
