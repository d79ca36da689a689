using System.Diagnostics;
using TokenMill.Serving.Quantization;
using TokenMill.Shared;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Quantization;

/// <summary>Which weights a model is served with where it is left to measurement.</summary>
public sealed class WeightTypeTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string Starter = Path.Combine(Reference.Repository, "models", "starter", "starter.gguf");

    private readonly string _folder = Directory.CreateTempSubdirectory("weight-types-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <param name="speed">Of Q8_0 and Q4_0, as multiples of the file's.</param>
    /// <param name="divergence">Of Q8_0 and Q4_0 from the file.</param>
    [Theory]
    [InlineData(new[] { 1.6, 2.0 }, new[] { 0.009, 0.465 }, "Q8_0", "Q4_0: less precise than allowed")]      // the fastest costs too much
    [InlineData(new[] { 1.6, 2.0 }, new[] { 0.001, 0.015 }, "Q4_0", "Q8_0: ")]
    [InlineData(new[] { 1.05, 0.9 }, new[] { 0.001, 0.015 }, "Q4_1", "1.1 is the least that counts")]
    [InlineData(new[] { 3.0, 3.0 }, new[] { 0.3, 0.3 }, "Q4_1", "the file's Q4_1 stays")]
    [InlineData(new[] { 3.0, 1.0 }, new[] { double.NaN, 0.001 }, "Q4_1", "Q8_0: less precise")]
    public void Choice_WeighsSpeedAgainstPrecision(double[] speed, double[] divergence, string expected, string why)
    {
        MeasuredVariant Variant(string type, double times, double kl) => new(type, null, 1, 100 * times, 700 * times, 20, kl, 0.95);
        var report = new PrecisionReport("m.gguf", "d.jsonl", 1, 1, 1, Variant("original", 1, 0), [Variant("Q8_0", speed[0], divergence[0]), Variant("Q4_0", speed[1], divergence[1])]);
        var choice = WeightTypeChoice.Of("Q4_1", report);
        output.WriteLine(choice.Why);
        Assert.Equal(expected, choice.Type);
        Assert.Contains(why, choice.Why, StringComparison.Ordinal);
        Assert.Equal(expected == "Q4_1", choice.IsFileType);
    }

    [Fact]
    public async Task Trial_OfAFile_IsRemembered_UntilTheFileChanges()
    {
        var model = Path.Combine(_folder, "model.gguf");
        Models.WriteExpanded(Starter, model, GgufType.F32);
        var progress = new List<string>();
        var (choice, path) = await RunAsync();
        output.WriteLine(choice.Why);
        Assert.Equal("F32", choice.FileType);
        Assert.Equal(["Q8_0", "Q4_0"], choice.Report!.Variants.Select(v => v.Type));
        Assert.True(choice.Report.Variants[0].KlDivergence < choice.Report.Variants[1].KlDivergence);
        Assert.NotEmpty(progress);
        AssertHolds(choice, path);

        progress.Clear();
        var (again, samePath) = await RunAsync();
        Assert.Empty(progress);
        Assert.Equal((choice.Type, choice.Why, path), (again.Type, again.Why, samePath));

        // As if Q8_0 had been chosen, however fast the machine is.
        File.WriteAllText(Directory.GetFiles(Path.Combine(_folder, "cache")).Single(), Json.Serialize(choice with { Type = "Q8_0" }));
        var (eightBits, variant) = await RunAsync();
        AssertHolds(eightBits, variant);
        progress.Clear();
        Assert.Equal(variant, (await RunAsync()).Path);
        Assert.Empty(progress);

        // A variant that somebody has deleted is made again, not measured again.
        File.Delete(variant);
        await RunAsync();
        Assert.Equal(["Q8_0: writing"], progress);
        AssertHolds(eightBits, variant);

        progress.Clear();
        Models.WriteExpanded(Starter, model, GgufType.F16);
        Assert.Equal("F16", (await RunAsync()).Choice.FileType);
        Assert.NotEmpty(progress);

        async Task<(WeightTypeChoice Choice, string Path)> RunAsync()
        {
            var trial = new WeightTypeTrial(model, Installation.SampleDataset, threads: 1, Path.Combine(_folder, "cache"), progress.Add);
            var chosen = await trial.ChooseAsync(CancellationToken.None);
            return (chosen, trial.Weights(chosen));
        }
    }

    [Fact]
    public async Task Trial_OfAModelWithoutTemplate_ReadsConversationsAsText()
    {
        var choice = await new WeightTypeTrial(Models.Family("llama-tied"), Installation.SampleDataset, threads: 1, _folder, _ => { }).ChooseAsync(CancellationToken.None);
        output.WriteLine(choice.Why);
        Assert.Equal(512, choice.Report!.ScoredTokens);
    }

    [Fact]
    public async Task Trial_OfWhatIsRearrangedAlready_MeasuresNothing()
    {
        var model = Path.Combine(_folder, "model.gguf");
        PrecisionTrial.Write(Starter, model, "Q4_0", threads: 1);
        var trial = new WeightTypeTrial(model, Installation.SampleDataset, threads: 1, _folder, _ => Assert.Fail("measured"));
        var choice = await trial.ChooseAsync(CancellationToken.None);
        Assert.Equal(("Q4_0", true, model), (choice.Type, choice.IsFileType, trial.Weights(choice)));
    }

    [Fact]
    public async Task Quantize_ParentsPipeCloses_EndsAndLeavesNothing()
    {
        var model = Path.Combine(_folder, "model.gguf");
        Models.WriteExpanded(Starter, model, GgufType.F32);
        var start = new ProcessStartInfo("dotnet", [Installation.Program("Serving"), "quantize", model, "--types", "auto", "--threads", "1", "--parent-pipe"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            Environment = { ["XDG_CACHE_HOME"] = _folder },
        };
        using var child = Process.Start(start)!;
        while (await child.StandardError.ReadLineAsync() is { } line && !line.StartsWith("original: ", StringComparison.Ordinal))
        {
            // The first progress of many is yet to come.
        }
        Assert.Single(Trials());
        child.StandardInput.Close();
        await child.WaitForExitAsync();
        Assert.Equal(130, child.ExitCode);
        Assert.Empty(Trials());

        string[] Trials() => Directory.GetDirectories(_folder, "trial-*", SearchOption.AllDirectories);
    }

    [Fact]
    public void TrialFolder_DeletesWhatAKilledOwnerLeft_NotWhatIsInUse()
    {
        var left = Directory.CreateDirectory(Path.Combine(_folder, "trial-left")).FullName;
        File.WriteAllText(Path.Combine(left, "half.gguf"), "");
        using (var first = TrialFolder.Create(_folder))
        using (var second = TrialFolder.Create(_folder))
            Assert.Equal(new[] { first.Path, second.Path }.Order(), Directory.GetDirectories(_folder).Order());
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    private static void AssertHolds(WeightTypeChoice choice, string path)
    {
        using var file = GgufFile.Open(path);
        Assert.Contains(file.Tensors, t => t.Type.ToString() == choice.Type);
        Assert.Equal("model.gguf", Path.GetFileName(path));
    }
}
