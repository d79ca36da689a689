using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>kill -9 at random, logged moments; the same seed makes the same choices again.</summary>
public sealed class KillTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private static int Seed => Environment.GetEnvironmentVariable("TOKENMILL_FAULT_SEED") is { } given ? int.Parse(given, System.Globalization.CultureInfo.InvariantCulture) : Random.Shared.Next();

    [Fact]
    public Task ThirtyKills_EndAsIfNothingHadHappened() => CampaignAsync(30);

    [Fact(Explicit = true)]
    public Task Soak_HundredKills_EndAsIfNothingHadHappened() => CampaignAsync(100);

    /// <summary>C and R of a model that is worth training.</summary>
    [Theory(Explicit = true)]
    [InlineData(8)]
    [InlineData(64)]
    public async Task Soak_RealModel_IsBackSoon(int rank)
    {
        var spec = fixture.File($"real-{rank}.json", [fixture.Spec($"real-{rank}", s =>
        {
            s["model"] = Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf");
            (s["adapter"]!["rank"], s["adapter"]!["alpha"], s["batch_size"], s["max_steps"]) = (rank, rank, 2, 10_000);
            (s["dtype"], s["checkpoint"]!["every_steps"]) = ("auto", 3);
            s.Remove("threads");
        })]);
        var (held, restarts) = (new List<double>(), new List<double>());
        for (var kill = 0; kill < 4; kill++)
        {
            using var trainer = new TrainerProcess(spec, "--resume");
            Assert.True(trainer.WaitFor(() => trainer.Events.Count(e => e.Event is CheckpointEvent) >= 2));
            trainer.Kill();
            await trainer.EndAsync();
            held.AddRange(trainer.Events.Select(e => e.Event).OfType<CheckpointEvent>().Select(c => c.Seconds));
            if (kill > 0) restarts.Add(trainer.Events.First(e => e.Event is StepEvent).After.TotalSeconds);
        }
        var (c, r) = (KillCampaign.Median(held), KillCampaign.Median(restarts));
        output.WriteLine($"SmolLM2-135M, LoRA r {rank}: C {c * 1000:0} ms (at most {held.Max() * 1000:0}), R {r:0.0} s with the first step: {EffectiveTime.PerHour(c, r):P2} at one fault an hour");
        Assert.InRange(c, 0, 0.2);
        Assert.InRange(EffectiveTime.PerHour(c, r), 0.98, 1);
    }

    private Task CampaignAsync(int kills)
    {
        var seed = Seed;
        output.WriteLine($"TOKENMILL_FAULT_SEED={seed} makes the same choices again");
        return new KillCampaign(fixture, output.WriteLine).RunAsync(kills, seed);
    }
}
