using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Tenants that ask at the same time are given the same, however much one asks for.</summary>
public sealed class FairnessTests(ITestOutputHelper output)
{
    private const int LongestPrompt = 25, MostNewTokens = 30;

    [Fact]
    public void TenantsWithRequestsWaiting_AreServedAlike_WithinTheBound()
    {
        var (worst, worstShare) = (0L, 0.0);
        for (var seed = 0; seed < 100; seed++)
        {
            var random = new Random(seed);
            var executor = new FakeExecutor(random.Next(100, 400));
            var options = new SchedulerOptions { MaxRunning = random.Next(1, 6), MaxWait = TimeSpan.MaxValue };
            var scheduler = new RequestScheduler(executor, options);
            var tenants = Enumerable.Range(0, random.Next(2, 5)).Select(i => $"tenant {i}").ToArray();
            // One asks for long answers, another for short ones, and each brings all it has at once, one tenant after the other.
            var all = tenants.ToDictionary(t => t, t => Enumerable.Range(0, 60).Select(_ => Random(random, random.Next(1, MostNewTokens + 1), t)).ToList());
            foreach (var request in tenants.SelectMany(t => all[t])) scheduler.Submit(request);

            var bound = LongestPrompt + options.MaxRunning * MostNewTokens;
            while (tenants.All(t => all[t].Exists(r => r.State == RequestState.Waiting)))
            {
                scheduler.Step(executor);
                var served = tenants.Select(t => all[t].Sum(r => (long)r.ServedTokens)).ToList();
                Assert.InRange(served.Max() - served.Min(), 0, bound);
                (worst, worstShare) = (Math.Max(worst, served.Max() - served.Min()), Math.Max(worstShare, (served.Max() - served.Min()) / (double)bound));
            }
            while (scheduler.Step(executor)) { }
        }
        output.WriteLine($"served tokens differ by at most {worst}, {worstShare:P0} of the bound");
    }

    [Fact]
    public void TenantThatComesLate_SharesFromThenOn_AndHasSavedNothingUp()
    {
        var (executor, random) = (new FakeExecutor(1_000), new Random(1));
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 4, MaxWait = TimeSpan.MaxValue });
        var early = Enumerable.Range(0, 200).Select(_ => Random(random, 20, "early")).ToList();
        early.ForEach(scheduler.Submit);
        while (early.Count(r => r.State == RequestState.Ended) < 80) scheduler.Step(executor);
        var before = early.Sum(r => (long)r.ServedTokens);

        var late = Enumerable.Range(0, 60).Select(_ => Random(random, 20, "late")).ToList();
        late.ForEach(scheduler.Submit);
        while (late.Exists(r => r.State == RequestState.Waiting)) scheduler.Step(executor);
        var (servedEarly, servedLate) = (early.Sum(r => (long)r.ServedTokens) - before, late.Sum(r => (long)r.ServedTokens));
        output.WriteLine($"{before} tokens before; then {servedEarly} and {servedLate}");
        Assert.InRange(servedLate - servedEarly, -(LongestPrompt + 4 * 20), LongestPrompt + 4 * 20);
    }

    [Fact]
    public void Shares_OfThoseWhoLeft_AreForgottenOrKeptAsLongAsTheyMatter()
    {
        var shares = new FairShares();
        var steady = shares.Join("steady");
        steady.ServedTokens = 100;
        var greedy = shares.Join("greedy");
        Assert.Equal(100, greedy.ServedTokens);                // a newcomer starts at the least of those that are there
        greedy.ServedTokens = 500;
        shares.Leave(greedy);
        Assert.Equal(500, shares.Join("greedy").ServedTokens); // and who comes back has not lost its past
        shares.Leave(greedy);
        steady.ServedTokens = 900;
        Assert.Equal(900, shares.Join("greedy").ServedTokens);
        shares.Leave(greedy);
        shares.Leave(steady);
        Assert.Equal(0, shares.Join("greedy").ServedTokens);
    }

    private static EngineRequest Random(Random random, int newTokens, string tenant) =>
        Requests.Greedy(Requests.Prompt(random, random.Next(1, LongestPrompt + 1)), newTokens, tenant: tenant).Request;
}
