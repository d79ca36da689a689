using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Batch work takes what is left; whoever waits too long goes first.</summary>
public sealed class PriorityTests(ITestOutputHelper output)
{
    /// <summary>
    /// Interactive requests at random times, with and without as much batch work as fits, for longer than an interactive one may wait: every
    /// token of theirs is sampled in the same step.
    /// </summary>
    [Fact]
    public void BatchWork_DelaysNoTokenOfAnInteractiveRequest()
    {
        var (batchTokens, preemptions) = (0, 0L);
        for (var seed = 0; seed < 60; seed++)
        {
            var alone = Run(seed, withBatch: false);
            Assert.Equal(alone, Run(seed, withBatch: true));
        }
        output.WriteLine($"{batchTokens} tokens of batch answers, {preemptions} preemptions meanwhile");
        Assert.True(batchTokens > 5_000 && preemptions > 100, "too little batch work to prove anything");

        List<string> Run(int seed, bool withBatch)
        {
            var (random, other) = (new Random(seed), new Random(-1 - seed));
            var (time, executor) = (new ManualTime(), new FakeExecutor(random.Next(150, 400)));
            var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = random.Next(1, 5) }, time);
            List<string> tokens = [];
            var step = 0;
            scheduler.Sampled += request =>
            {
                if (request.Priority == RequestPriority.Interactive) tokens.Add($"request {request.Key.Tenant}, token {request.NewTokens} at step {step}");
                else batchTokens++;
            };
            for (var number = 0; step < 300 || scheduler.RunningCount + scheduler.WaitingCount > 0; step++)
            {
                if (step < 300 && random.Next(30) == 0) scheduler.Submit(Requests.Greedy(Requests.Prompt(random, random.Next(1, 70)), random.Next(1, 30), tenant: $"{number++}").Request);
                if (withBatch && step < 300 && scheduler.WaitingCount < 5) scheduler.Submit(Requests.Greedy(Requests.Prompt(other, other.Next(1, 70)), other.Next(1, 60), tenant: "batch", priority: RequestPriority.Batch).Request);
                scheduler.Step(executor);
                time.Pass(TimeSpan.FromSeconds(1));
            }
            preemptions += withBatch ? scheduler.Preemptions : 0;
            return tokens;
        }
    }

    [Fact]
    public void BatchWaitedTooLong_GoesBeforeAllOthers_OneAtATime_AndNotOneAfterAnother()
    {
        var (time, executor, random) = (new ManualTime(), new FakeExecutor(1_000), new Random(1));
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 4, MaxBatchWait = TimeSpan.FromSeconds(100) }, time);
        var batch = Enumerable.Range(0, 3).Select(_ => Requests.Greedy(Requests.Prompt(random, 40), 20, tenant: "b", priority: RequestPriority.Batch)).ToList();
        List<int> ends = [];
        for (var second = 0; second < 600 && ends.Count < 3; second++)
        {
            while (scheduler.WaitingCountOf(RequestPriority.Interactive) < 6) scheduler.Submit(Requests.Greedy(Requests.Prompt(random, 10), 15).Request);
            if (second == 10) batch.ForEach(b => scheduler.Submit(b.Request));
            scheduler.Step(executor);
            time.Pass(TimeSpan.FromSeconds(1));
            if (second < 110) Assert.All(batch, b => Assert.Equal(0, b.Request.ServedTokens));
            ends.AddRange(batch.Where(b => b.Consumer.Ends.Count > 0).Skip(ends.Count).Select(_ => second));
        }
        output.WriteLine($"the batch requests ended after {string.Join(", ", ends)} s");
        // A place becomes free within 15 steps; then a prompt and at most 20 tokens. The next one is not due until 100 s later.
        const int turn = 15 + 2 + 20;
        Assert.Equal(3, ends.Count);
        Assert.InRange(ends[0], 110, 110 + turn);
        for (var i = 1; i < ends.Count; i++) Assert.InRange(ends[i] - ends[i - 1], 100, 100 + turn);
        Assert.All(batch, b => Assert.Equal(Requests.Alone(executor, b.Request.Tokens[..40].ToArray(), 20), b.Consumer.Tokens));
    }

    [Fact]
    public void CacheFull_TheNewestOfTheLowestPriorityMakesWay()
    {
        var (executor, random) = (new FakeExecutor(200), new Random(3));
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 8, ReservedTokensPerRequest = 0 });
        var batch = Enumerable.Range(0, 3).Select(_ => Requests.Greedy(Requests.Prompt(random, 50), 12, priority: RequestPriority.Batch)).ToList();
        batch.ForEach(b => scheduler.Submit(b.Request));
        for (var i = 0; i < 5; i++) scheduler.Step(executor);
        var urgent = Requests.Greedy(Requests.Prompt(random, 90), 20);
        scheduler.Submit(urgent.Request);
        scheduler.Step(executor);
        Assert.Equal([RequestState.Running, RequestState.Running, RequestState.Waiting], batch.Select(b => b.Request.State).Reverse().OrderBy(s => s != RequestState.Running));
        Assert.Equal(RequestState.Running, batch[0].Request.State);
        while (scheduler.Step(executor)) { }
        Assert.All(batch, b => Assert.Equal(Requests.Alone(executor, b.Request.Tokens[..50].ToArray(), 12), b.Consumer.Tokens));
    }
}
