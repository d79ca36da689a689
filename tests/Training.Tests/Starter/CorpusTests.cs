using System.Security.Cryptography;
using TokenMill.Recipe;
using TokenMill.Testing;

namespace TokenMill.Training.Tests.Starter;

/// <summary>The recipe of the starter model still makes the text that the model was trained on.</summary>
public sealed class CorpusTests
{
    private static readonly string Folder = Path.Combine(Reference.Repository, "models", "starter", "recipe");

    [Fact]
    public void Corpus_Generated_IsTheOneWhoseHashesAreCheckedIn()
    {
        var corpus = Corpus.Generate(Grammar.Load(Path.Combine(Folder, "content")));
        var recorded = File.ReadLines(Path.Combine(Folder, "corpus.sha256"));
        Assert.Equal(recorded, [Line("train.jsonl", corpus.Train), Line("held-out.jsonl", corpus.HeldOut)]);
        Assert.Empty(corpus.HeldOut.Select(r => r.ToJson()).Intersect(corpus.Train.Select(r => r.ToJson())));

        static string Line(string name, IReadOnlyList<Row> rows) => $"{Convert.ToHexStringLower(SHA256.HashData(Corpus.ToJsonLines(rows)))}  {name}";
    }

    [Fact]
    public void Grammar_Slots_BindAgreeAndBend()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "a.txt"), """
                # two tables, one block
                [fruit: name colour]
                apple | red
                cherry | red

                [[talk 1]]
                @ x=fruit, y=fruit
                ? {^x} or {y}?
                ! {A x} is {x.colour}, {{s y}} are {y.colour} too: {a {x.colour} y}.
                """);
            var grammar = Grammar.Load(folder.FullName);
            var seen = Enumerable.Range(0, 50).Select(seed => grammar.Expand(grammar.Groups.Single(), new Dice((ulong)seed))).Select(r => string.Join('/', r.Messages!.Select(m => m.Content))).Distinct().Order();
            Assert.Equal(["Apple or cherry?/An apple is red, cherries are red too: a red cherry.", "Cherry or apple?/A cherry is red, apples are red too: a red apple."], seen);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
