using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats.JsonLines;

/// <summary>Whatever the bytes are: no crash, no hang, counts that add up, and good rows that are good JSON.</summary>
public sealed class HostileRowsTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-hostile-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Seeded damage to every small file of the manifest: cut, flip, insert, double.</summary>
    [Fact]
    public void Check_DamagedFiles_NeverFailsOtherwiseThanByReport()
    {
        var random = new Random(20261125);
        var (files, accepted) = (0, 0);
        foreach (var original in Directory.EnumerateFiles(Reference.Locate("golden/inputs/datasets"), "*", SearchOption.AllDirectories).Where(f => new FileInfo(f).Length is > 0 and < 20_000).Order())
        {
            for (var round = 0; round < 12; round++)
            {
                var path = Path.Combine(_folder, $"{round}{Path.GetExtension(original)}");
                File.WriteAllBytes(path, Damage(File.ReadAllBytes(original), random));
                var reader = new DatasetReader(path, new DatasetReaderOptions { Format = round % 3 == 0 ? DatasetReader.Formats[random.Next(DatasetReader.Formats.Count)] : "auto" });
                long good = 0;
                foreach (var row in reader.Rows(TestContext.Current.CancellationToken))
                {
                    good++;
                    Assert.Equal(JsonValueKind.Object, JsonNode.Parse(row.Utf8.Span)!.GetValueKind());
                }
                var report = reader.Report;
                Assert.Equal(report.Accepted, report.GoodRows > 0);
                Assert.True(report.Accepted || report.ErrorCount > 0);
                if (report.Rows is { } rows)
                {
                    Assert.Equal(good, report.GoodRows);
                    Assert.Equal(rows - report.GoodRows, report.Errors.Select(e => e.Record).Distinct().Count());
                }
                else
                {
                    Assert.Single(report.Errors);
                }
                Assert.All(report.Errors.Concat(report.Warnings), f => Assert.False(string.IsNullOrWhiteSpace(f.Message)));
                files++;
                if (report.Accepted) accepted++;
            }
        }
        output.WriteLine($"{files} damaged files, {accepted} still had good rows");
    }

    /// <summary>What a row of another format becomes is a row of the messages format, and stays one when it is read again.</summary>
    [Theory]
    [InlineData("alpaca.jsonl", "messages")]
    [InlineData("sharegpt.jsonl", "messages")]
    [InlineData("table.csv", "messages")]
    [InlineData("preference.jsonl", "preference")]
    [InlineData("preference-openai.jsonl", "preference")]
    [InlineData("text.txt", "text")]
    public void Rows_OfAnyFormat_ReadAgainAsTheCanonicalOne(string file, string canonical)
    {
        var rows = Lines(Path.Combine(Reference.Locate("golden/inputs/datasets/valid"), file), out _);
        var path = Path.Combine(_folder, "again.jsonl");
        File.WriteAllLines(path, rows);
        Assert.Equal(rows, Lines(path, out var report));
        Assert.Equal(canonical, report.Format);
        Assert.Equal(0, report.ErrorCount);
    }

    [Fact]
    public void Rows_OfAlpaca_JoinInstructionAndInputAndLearnTheHistory()
    {
        var path = Path.Combine(_folder, "alpaca.jsonl");
        File.WriteAllText(path, """{"instruction":"Add.","input":"1 and 2","output":"3","system":"Be brief.","history":[["Hi","Hello"]]}""");
        Assert.Equal(
            ["""{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Add.\n1 and 2"},{"role":"assistant","content":"3"}]}"""],
            Lines(path, out _));
    }

    [Fact]
    public void IsHeldOut_IsAShareOfTheRows_AndEqualRowsStandTogether()
    {
        var path = Path.Combine(_folder, "split.jsonl");
        File.WriteAllLines(path, Enumerable.Range(0, 5_000).SelectMany(i => new[] { $$$"""{"messages":[{"role":"user","content":"{{{i}}}"},{"role":"assistant","content":"a"}]}""", $$$"""{"id":{{{i}}}, "messages": [{"content":"{{{i}}}","role":"user"},{"role":"assistant","content":"a"}]}""" }));
        var held = new DatasetReader(path).Rows(TestContext.Current.CancellationToken).Select(r => r.IsHeldOut(0.1)).Chunk(2).ToList();
        Assert.All(held, pair => Assert.Equal(pair[0], pair[1]));
        Assert.InRange(held.Count(pair => pair[0]), 430, 570);
    }

    private static List<string> Lines(string path, out DatasetReport report)
    {
        var reader = new DatasetReader(path);
        var lines = reader.Rows(TestContext.Current.CancellationToken).Select(r => Encoding.UTF8.GetString(r.Utf8.Span)).ToList();
        report = reader.Report;
        return lines;
    }

    private static byte[] Damage(byte[] bytes, Random random)
    {
        var damaged = bytes.ToList();
        byte[] spice = [0, (byte)'"', (byte)'\\', (byte)'{', (byte)'}', (byte)'[', (byte)']', (byte)',', (byte)'\n', (byte)'\r', 0xFF, 0xED, 0xC3, (byte)'0', (byte)' '];
        for (var n = random.Next(1, 6); n > 0 && damaged.Count > 0; n--)
        {
            var at = random.Next(damaged.Count);
            switch (random.Next(5))
            {
                case 0: damaged.RemoveRange(at, Math.Min(damaged.Count - at, random.Next(1, 200))); break;
                case 1: damaged[at] = (byte)random.Next(256); break;
                case 2: damaged.Insert(at, spice[random.Next(spice.Length)]); break;
                case 3: damaged.InsertRange(at, damaged.GetRange(at, Math.Min(damaged.Count - at, random.Next(1, 300)))); break;
                default: damaged[at] = spice[random.Next(spice.Length)]; break;
            }
        }
        return [.. damaged];
    }
}
