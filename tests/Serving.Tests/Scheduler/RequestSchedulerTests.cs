using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Tests.Scheduler;

public sealed class RequestSchedulerTests(ITestOutputHelper output)
{
    [Fact]
    public void RandomLoad_EveryRequestEndsWithTheAnswerItWouldHaveAlone()
    {
        long preemptions = 0, found = 0, asked = 0, cancelled = 0, requests = 0, overdue = 0;
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var executor = new FakeExecutor(random.Next(60, 260), maxSequences: random.Next(6, 14))
            {
                MaxStepTokens = random.Next(8, 64),
                MaxStepRows = random.Next(6, 16),
                SharesPrefixes = seed % 10 != 0,
                Memory = seed % 3 == 0 ? 1 : int.MaxValue,
                MaxAdapters = random.Next(1, 4),
                FailingSteps = [.. Enumerable.Range(0, random.Next(6)).Select(_ => random.Next(1, 120))],
            };
            var options = new SchedulerOptions
            {
                MaxRunning = random.Next(1, 6),
                StepTokens = 48,
                PromptTokensBesideAnswers = random.Next(1, 16),
                ReservedTokensPerRequest = random.Next(0, 8),
                SharedPrefixWorthWaiting = random.Next(1, 12),
                GuessedStepTokens = random.Next(0, 12),
                MaxWait = TimeSpan.FromSeconds(random.Next(5, 200)),
                MaxBatchWait = TimeSpan.FromSeconds(random.Next(5, 200)),
            };
            var time = new ManualTime();
            var scheduler = new RequestScheduler(executor, options, time);
            int[][] prefixes = [[], Requests.Prompt(random, 20), Requests.Prompt(random, 9)];
            List<(EngineRequest Request, GreedyConsumer Consumer, int[] Prompt, int MaxNew, string? Adapter)> all = [];
            List<(ScoringConsumer Consumer, int[] Prompt)> scored = [];

            for (var step = 0; step < 200 || scheduler.RunningCount + scheduler.WaitingCount > 0; step++)
            {
                Assert.True(step < 5_000, $"seed {seed}: no end in sight");
                time.Pass(TimeSpan.FromSeconds(1));
                if (step < 200 && random.Next(4) == 0)
                {
                    int[] prompt = [.. prefixes[random.Next(3)], .. Requests.Prompt(random, random.Next(1, 20))];
                    var maxNew = random.Next(1, 60 - prompt.Length + 1);
                    var adapter = random.Next(6) switch { < 3 and var n => "aaa"[..(n + 1)], _ => null };
                    var (request, consumer) = Requests.Greedy(prompt, maxNew, adapter, random.Next(2) == 0 ? "x" : "y", (RequestPriority)random.Next(2));
                    Assert.Null(RequestScheduler.Unservable(request, executor));
                    all.Add((request, consumer, prompt, maxNew, adapter));
                    scheduler.Submit(request);
                }
                if (step < 200 && random.Next(40) == 0)
                {
                    var scorer = new ScoringConsumer();
                    var prompt = Requests.Prompt(random, random.Next(1, 40));
                    scored.Add((scorer, prompt));
                    scheduler.Submit(new EngineRequest(prompt, 0, new CacheKey("x", null), scorer) { Priority = (RequestPriority)random.Next(2) });
                }
                if (all.Count > 0 && random.Next(25) == 0) scheduler.End(all[random.Next(all.Count)].Request, EndReason.Cancelled);
                var hasWork = scheduler.RunningCount + scheduler.WaitingCount > 0;
                Assert.True(scheduler.Step(executor, plan => CheckPriorities(plan, scheduler)) || !hasWork, $"seed {seed}: work, but no step");
                Assert.InRange(scheduler.RunningCount, 0, options.MaxRunning);
            }
            while (scheduler.Step(executor)) { }

            foreach (var (request, consumer, prompt, maxNew, adapter) in all)
            {
                var alone = Requests.Alone(executor, prompt, maxNew, adapter);
                var end = Assert.Single(consumer.Ends);
                if (end == EndReason.Cancelled) Assert.Equal(alone.Take(consumer.Tokens.Count), consumer.Tokens);
                else Assert.Equal(alone, consumer.Tokens);
                Assert.Equal(end == EndReason.Cancelled ? end : alone[^1] == 0 ? EndReason.Stop : EndReason.Length, end);
                Assert.Equal(consumer.Tokens.Count, request.NewTokens);
                cancelled += end == EndReason.Cancelled ? 1 : 0;
                overdue += request.IsOverdue ? 1 : 0;
            }
            foreach (var (consumer, prompt) in scored)
            {
                Assert.Equal([EndReason.Stop], consumer.Ends);
                var last = consumer.Seen.Skip(consumer.Seen.Count - prompt.Length).ToList();      // a preempted one starts over
                Assert.Equal(Enumerable.Range(0, prompt.Length).Select(i => (i, executor.Next(prompt[..(i + 1)], null))), last);
            }

            // What was kept is the tree's, cell by cell; and it can all be freed.
            Assert.Equal(executor.UsedCells, scheduler.Tree.UsedTokens);
            Assert.Equal(0, scheduler.Tree.PinnedTokens);
            List<CacheOperation> operations = [];
            Assert.True(scheduler.Tree.MakeRoom(executor.CapacityTokens, operations));
            Assert.Equal((0, 0), (scheduler.Tree.UsedTokens, scheduler.Tree.KeptSequences));
            (preemptions, found, asked, requests) = (preemptions + scheduler.Preemptions, found + scheduler.PrefixTokensFound, asked + scheduler.PrefixTokensAsked, requests + all.Count);
        }
        output.WriteLine($"{requests} requests, {cancelled} cancelled, {overdue} overdue, {preemptions} preemptions, {found} of {asked} prompt tokens found in the cache");
        Assert.True(preemptions > 100 && found > 1_000 && overdue > 100, "the load was too light to prove anything");
    }

    [Fact]
    public void CacheForFour_SixteenRequests_AllComplete()
    {
        var executor = new FakeExecutor(capacityTokens: 400, maxSequences: 32);
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 16 });
        var random = new Random(5);
        var all = Enumerable.Range(0, 16).Select(_ => Requests.Greedy([.. Requests.Prompt(random, 60)], 40)).ToList();
        foreach (var (request, _) in all) scheduler.Submit(request);
        while (scheduler.Step(executor)) { }
        Assert.All(all, r => Assert.Equal(Requests.Alone(executor, r.Request.Tokens[..60].ToArray(), 40), r.Consumer.Tokens));
    }

    [Fact]
    public void RepeatingAnswer_TakesFewSteps_OthersHardlyMore()
    {
        var (repeating, free) = (new FakeExecutor(capacityTokens: 2_000) { Memory = 1 }, new FakeExecutor(capacityTokens: 2_000));
        foreach (var (executor, most) in new[] { (repeating, 60), (free, 210) })
        {
            var prompt = WithoutEnd(executor, 200);
            var scheduler = new RequestScheduler(executor, new SchedulerOptions());
            var (request, consumer) = Requests.Greedy(prompt, 200);
            scheduler.Submit(request);
            while (scheduler.Step(executor)) { }
            Assert.Equal(Requests.Alone(executor, prompt, 200), consumer.Tokens);
            output.WriteLine($"{consumer.Tokens.Count} tokens in {executor.Steps} steps, {executor.Log.Sum(s => s.Tokens)} tokens computed");
            Assert.Equal(200, consumer.Tokens.Count);
            Assert.InRange(executor.Steps, 1, most);
            // A step gives a token, and those that were guessed right; the prompt's last step gave one too.
            Assert.Equal(200 - scheduler.GuessesAccepted, executor.Steps);
            Assert.InRange(scheduler.GuessesAccepted, 0, scheduler.TokensGuessed);
        }
    }

    /// <summary>One draw for each token, in order, whatever was guessed: the same seed gives the same text, so the distribution is the same.</summary>
    [Fact]
    public void SampledAnswer_WithGuesses_IsTheOneWithout()
    {
        var saved = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var (plain, plainSteps) = Sample(seed, guesses: 0);
            var (guessed, steps) = Sample(seed, guesses: 16);
            Assert.Equal(plain, guessed);
            saved += plainSteps - steps;
        }
        output.WriteLine($"{saved} of 10,000 steps saved");
        Assert.True(saved > 500, "too few guesses were right to prove anything");

        static (List<int> Tokens, int Steps) Sample(int seed, int guesses)
        {
            var executor = new FakeExecutor(capacityTokens: 2_000) { Memory = 1 };
            var scheduler = new RequestScheduler(executor, new SchedulerOptions { GuessedStepTokens = guesses });
            var consumer = new SamplingConsumer(seed);
            scheduler.Submit(new EngineRequest(Requests.Prompt(new Random(seed), 5), 200, new CacheKey("", null), consumer));
            while (scheduler.Step(executor)) { }
            return (consumer.Tokens, executor.Steps);
        }
    }

    [Fact]
    public void GuessesThatAreAlwaysWrong_AreSoonFew()
    {
        var (lookup, guessed) = (new PromptLookup(), 0);
        int[] text = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4];
        for (var token = 0; token < 1_000; token++)
        {
            var guess = lookup.Guess(text, 8).Length;
            guessed += guess;
            if (guess > 0) lookup.Length.Observe(guess, right: 0);
        }
        Assert.InRange(guessed, 1, 25);
    }

    [Fact]
    public void LongPrompt_BesideAnswers_IsCutIntoChunks()
    {
        var executor = new FakeExecutor(capacityTokens: 2_000) { MaxStepTokens = 512 };
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { PromptTokensBesideAnswers = 16 });
        var talking = Requests.Greedy(WithoutEnd(executor, 30), 200);
        scheduler.Submit(talking.Request);
        for (var i = 0; i < 3; i++) scheduler.Step(executor);
        var long1 = Requests.Greedy(Requests.Prompt(new Random(1), 600), 1);
        scheduler.Submit(long1.Request);
        var before = talking.Consumer.Tokens.Count;
        while (long1.Consumer.Ends.Count == 0 && talking.Consumer.Ends.Count == 0) scheduler.Step(executor);
        Assert.All(executor.Log.Skip(3), step => Assert.InRange(step.Tokens, 1, 17));
        Assert.True(talking.Consumer.Tokens.Count - before >= 37, "an answer gets a token in every step");
    }

    [Fact]
    public void SharedPrefix_ArrivingTogether_IsComputedOnce()
    {
        var executor = new FakeExecutor(capacityTokens: 2_000, maxSequences: 40) { MaxStepTokens = 64 };
        var scheduler = new RequestScheduler(executor, new SchedulerOptions());
        var random = new Random(2);
        var system = Requests.Prompt(random, 300);
        for (var i = 0; i < 16; i++) scheduler.Submit(Requests.Greedy([.. system, .. Requests.Prompt(random, 10)], 1).Request);
        while (scheduler.Step(executor)) { }
        Assert.InRange(executor.Log.Sum(s => s.Tokens), 300 + 160, 300 + 160 + 16);
    }

    [Fact]
    public void Prefix_OfAnotherTenantOrAdapter_IsNotShared()
    {
        var executor = new FakeExecutor(capacityTokens: 1_000);
        var scheduler = new RequestScheduler(executor, new SchedulerOptions());
        var prompt = Requests.Prompt(new Random(3), 50);
        foreach (var (tenant, adapter, expected) in new[] { ("x", (string?)null, 0), ("y", null, 0), ("x", "a", 0), ("x", null, 49) })
        {
            var (request, _) = Requests.Greedy(prompt, 1, adapter, tenant);
            scheduler.Submit(request);
            while (scheduler.Step(executor)) { }
            Assert.Equal(expected, request.CachedTokens);
        }
    }

    [Fact]
    public void Adapters_TakeTurns()
    {
        var executor = new FakeExecutor(capacityTokens: 2_000);
        var scheduler = new RequestScheduler(executor, new SchedulerOptions());
        foreach (var adapter in new[] { "a", "bb", null }) scheduler.Submit(Requests.Greedy(WithoutEnd(executor, 40, adapter), 30, adapter).Request);
        while (scheduler.RunningCount + scheduler.WaitingCount > 0 || executor.Steps == 0) scheduler.Step(executor);
        foreach (var window in executor.Log.Take(60).Chunk(3)) Assert.Equal(3, window.Select(s => s.Adapter).Distinct().Count());
    }

    [Fact]
    public void MoreAdaptersThanPlaces_TakeTurnsInMemory_AndOthersDoNotStarveOne()
    {
        var executor = new FakeExecutor(capacityTokens: 4_000, maxSequences: 64) { MaxAdapters = 2 };
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 4 });
        var random = new Random(4);
        var all = Enumerable.Range(0, 48).Select(i => (Prompt: Requests.Prompt(random, 10), Adapter: new string('a', i % 16 + 1))).ToList();
        var answers = all.ConvertAll(r => Requests.Greedy(r.Prompt, 20, r.Adapter));
        foreach (var (request, _) in answers) scheduler.Submit(request);
        while (scheduler.Step(executor)) { }
        Assert.All(all.Zip(answers), r => Assert.Equal(Requests.Alone(executor, r.First.Prompt, 20, r.First.Adapter), r.Second.Consumer.Tokens));
        output.WriteLine($"{executor.AdapterLoads} loads for 48 requests under 16 adapters, 2 in memory");

        // Two popular adapters keep both places busy for ever; a third one gets its turn all the same.
        var rare = Requests.Greedy(WithoutEnd(executor, 20, "cc"), 20, "cc");
        for (var step = 0; rare.Consumer.Ends.Count == 0; step++)
        {
            Assert.True(step < 500, "the rare adapter starves");
            if (step == 10) scheduler.Submit(rare.Request);
            if (scheduler.WaitingCount < 4) scheduler.Submit(Requests.Greedy(Requests.Prompt(random, 5), 20, step % 2 == 0 ? "a" : "bbb").Request);
            scheduler.Step(executor);
        }
    }

    [Fact]
    public void Adapter_ThatCannotBeLoaded_FailsItsRequestsOnly()
    {
        var executor = new FakeExecutor(capacityTokens: 1_000) { BrokenAdapter = "bad" };
        var scheduler = new RequestScheduler(executor, new SchedulerOptions());
        var prompt = WithoutEnd(executor, 10, "a");
        var (bad, good) = (Requests.Greedy(prompt, 10, "bad"), Requests.Greedy(prompt, 10, "a"));
        foreach (var (request, _) in new[] { bad, good }) scheduler.Submit(request);
        while (scheduler.Step(executor)) { }
        Assert.Equal((EndReason.Failed, "adapter-broken"), (Assert.Single(bad.Consumer.Ends), bad.Consumer.Error!.Code));
        Assert.Equal(Requests.Alone(executor, prompt, 10, "a"), good.Consumer.Tokens);
    }

    [Fact]
    public void RetiredAdapter_ItsRequestsFinish_ThenNothingOfItIsLeft()
    {
        var executor = new FakeExecutor(capacityTokens: 1_000);
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 2 });
        var prompt = WithoutEnd(executor, 20, "a");
        var (kept, other) = (Requests.Greedy(prompt, 5, "a"), Requests.Greedy(prompt, 20, "bb"));
        foreach (var (request, _) in new[] { kept, other }) scheduler.Submit(request);
        while (scheduler.Step(executor)) { }
        var heldByOther = prompt.Length + 20 - 1;
        Assert.Equal(heldByOther + prompt.Length + 5 - 1, scheduler.Tree.UsedTokens);

        var done = 0;
        var late = Enumerable.Range(0, 3).Select(_ => Requests.Greedy(prompt, 20, "a")).ToList();      // two run, one waits
        foreach (var (request, _) in late) scheduler.Submit(request);
        scheduler.Step(executor);
        scheduler.Retire("a", () => done++);
        Assert.Equal(0, done);
        while (scheduler.Step(executor)) { }
        Assert.All(late, r => Assert.Equal(Requests.Alone(executor, prompt, 20, "a"), r.Consumer.Tokens));
        Assert.Equal((1, heldByOther, heldByOther), (done, scheduler.Tree.UsedTokens, executor.UsedCells));
        Assert.Equal(["bb"], executor.LoadedAdapters);
    }

    [Fact]
    public void Unservable_SaysTheNumbers()
    {
        var executor = new FakeExecutor(capacityTokens: 100) { MaxSequenceTokens = 80 };
        Assert.Contains("90", RequestScheduler.Unservable(Requests.Greedy(Requests.Prompt(new Random(1), 90), 1).Request, executor)!.Message);
        Assert.Equal("context-length-exceeded", RequestScheduler.Unservable(Requests.Greedy(Requests.Prompt(new Random(1), 40), 41).Request, executor)!.Code);
        Assert.Null(RequestScheduler.Unservable(Requests.Greedy(Requests.Prompt(new Random(1), 40), 40).Request, executor));
        Assert.Equal("unknown-token", RequestScheduler.Unservable(Requests.Greedy([1, 50], 1).Request, executor)!.Code);
        Assert.Equal("unknown-token", RequestScheduler.Unservable(Requests.Greedy([-1], 1).Request, executor)!.Code);
    }

    /// <summary>No batch request is computed while an interactive one runs, unless it is overdue; and one at a time is.</summary>
    private static void CheckPriorities(StepPlan plan, RequestScheduler scheduler)
    {
        var running = scheduler.All().Where(r => r.State == RequestState.Running).ToList();
        Assert.InRange(scheduler.All().Count(r => r.IsOverdue), 0, 1);
        if (running.Exists(r => r.Priority == RequestPriority.Interactive)) Assert.DoesNotContain(plan.Requests, r => r.Priority == RequestPriority.Batch && !r.IsOverdue);
        if (running.Find(r => r.IsOverdue) is { } first) Assert.Equal(first, running[0]);
    }

    /// <summary>A prompt whose answer does not end within that many tokens.</summary>
    private static int[] WithoutEnd(FakeExecutor executor, int tokens, string? adapter = null)
    {
        for (var seed = 0; ; seed++)
        {
            var prompt = Requests.Prompt(new Random(seed), 5);
            if (!Requests.Alone(executor, prompt, tokens, adapter).Contains(0)) return prompt;
        }
    }
}
