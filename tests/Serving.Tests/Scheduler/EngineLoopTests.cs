using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>The engine's thread, with a runner whose steps the test holds up or breaks.</summary>
public sealed class EngineLoopTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Cancel_DuringAStep_EndsTheRequestBeforeTheNext()
    {
        using var step = new SemaphoreSlim(0);
        var executor = new FakeExecutor(10_000) { BeforeStep = step.Wait };
        using var engine = new EngineLoop(executor, new SchedulerOptions(), TimeProvider.System);
        var (request, consumer) = Requests.Greedy([5, 6, 7], 5_000);
        engine.Submit(request);
        step.Release(2);
        while (executor.Steps < 2) await Task.Delay(1);
        engine.Cancel(request);
        var steps = executor.Steps;
        step.Release(100);
        await consumer.Done.Task.WaitAsync(Patience);
        Assert.Equal([EndReason.Cancelled], consumer.Ends);
        await engine.Call(() => 0);
        Assert.InRange(executor.Steps - steps, 0, 2);          // the one under way, and the one that drops the sequence
        Assert.Equal(0, executor.UsedCells > 0 ? engine.Metrics.CacheTokensPinned : 0);
        step.Release(1_000_000);
    }

    [Fact]
    public async Task RunnerBreaks_EveryoneIsToldAndTheHostToo()
    {
        using var submitted = new ManualResetEventSlim();
        var steps = 0;
        var executor = new FakeExecutor(10_000)
        {
            BeforeStep = () =>
            {
                submitted.Wait();
                if (++steps == 3) throw new InvalidOperationException("broken");
            },
        };
        using var engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 1 }, TimeProvider.System);
        var requests = Enumerable.Range(1, 3).Select(i => Requests.Greedy([i], 5_000)).ToList();
        foreach (var (request, _) in requests) engine.Submit(request);
        submitted.Set();
        await Task.WhenAll(requests.Select(r => r.Consumer.Done.Task)).WaitAsync(Patience);
        Assert.All(requests.Where(r => !r.Consumer.Ends.Contains(EndReason.Stop)), r => Assert.Equal("engine-failed", r.Consumer.Error!.Code));
        Assert.Equal("broken", (await engine.Ended.WaitAsync(Patience))!.Message);
        Assert.True(executor.IsDisposed);
        Assert.Equal("engine-stopped", Assert.Throws<RefusedException>(() => engine.Submit(Requests.Greedy([1], 1).Request)).Error.Code);
        Assert.Equal("engine-stopped", (await Assert.ThrowsAsync<RefusedException>(() => engine.Call(() => 0))).Error.Code);
    }

    [Fact]
    public async Task Dispose_WithRequestsUnderWay_EndsThem()
    {
        var executor = new FakeExecutor(100_000);
        var engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 2 }, TimeProvider.System);
        var requests = Enumerable.Range(1, 6).Select(i => Requests.Greedy([i, i + 1], 3_000)).ToList();
        foreach (var (request, _) in requests) engine.Submit(request);
        engine.Dispose();
        Assert.Null(await engine.Ended);
        Assert.All(requests, r => Assert.Single(r.Consumer.Ends));
        Assert.True(executor.IsDisposed);
    }

    [Fact]
    public async Task QueueFull_RefusesAndRecovers()
    {
        using var step = new SemaphoreSlim(0);
        var executor = new FakeExecutor(10_000) { BeforeStep = step.Wait };
        using var engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 2, MaxWaiting = 3 }, TimeProvider.System);
        var accepted = Enumerable.Range(1, 5).Select(i => Requests.Greedy([i], 4)).ToList();
        foreach (var (request, _) in accepted) engine.Submit(request);
        var busy = Assert.Throws<RefusedException>(() => engine.Submit(Requests.Greedy([9], 4).Request)).Error;
        Assert.Equal("engine-busy", busy.Code);
        Assert.True(busy.RetryAfter >= TimeSpan.FromSeconds(1));
        step.Release(10_000);
        await Task.WhenAll(accepted.Select(a => a.Consumer.Done.Task)).WaitAsync(Patience);
        var (late, consumer) = Requests.Greedy([9], 4);
        engine.Submit(late);
        await consumer.Done.Task.WaitAsync(Patience);
        Assert.Equal(1, engine.Metrics.Refused);
    }

    /// <summary>A queue that is always full, by a clock of its own: who is refused is told about how long the last one in the queue then waits.</summary>
    [Fact]
    public async Task QueueFull_TheWaitThatIsNamedIsAboutTheWait()
    {
        var (time, random, last) = (new ManualTime(), new Random(1), (EngineRequest?)null);
        List<(long At, TimeSpan Named, EngineRequest Last)> refused = [];
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        EngineLoop engine = null!;
        using var ready = new ManualResetEventSlim();
        var executor = new FakeExecutor(400)
        {
            BeforeStep = () =>
            {
                ready.Wait();
                time.Pass(TimeSpan.FromSeconds(0.1));
                try
                {
                    while (refused.Count < 800)
                    {
                        var (request, _) = Requests.Greedy(Requests.Prompt(random, random.Next(1, 60)), random.Next(1, 60));
                        engine.Submit(request);
                        last = request;
                    }
                    enough.TrySetResult();
                }
                catch (RefusedException e)
                {
                    refused.Add((time.GetTimestamp(), e.Error.RetryAfter!.Value, last!));
                }
            },
        };
        using var loop = engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 4, MaxWaiting = 12 }, time);
        var (first, _) = Requests.Greedy([1], 5);
        engine.Submit(first);
        ready.Set();
        await enough.Task.WaitAsync(Patience);
        var ratios = refused.Skip(200).Where(r => r.Last.StartedAt is not null).Select(r => r.Named / time.GetElapsedTime(r.At, r.Last.StartedAt!.Value)).Order().ToList();
        output.WriteLine($"named over real wait: median {ratios[ratios.Count / 2]:0.00}, nine of ten between {ratios[ratios.Count / 20]:0.00} and {ratios[^(ratios.Count / 20)]:0.00}");
        Assert.InRange(ratios[ratios.Count / 2], 0.7, 1.5);
        Assert.InRange(ratios.Count(r => r is > 0.5 and < 2), ratios.Count * 3 / 4, ratios.Count);
    }

    /// <summary>Batch requests take long, since they pause; an interactive one does not wait for them.</summary>
    [Fact]
    public async Task QueueFull_LongBatchAnswers_DoNotLengthenTheWaitThatInteractiveRequestsAreTold()
    {
        var (time, secondsPerStep) = (new ManualTime(), 1_000);
        using var step = new ManualResetEventSlim(true);
        var executor = new FakeExecutor(10_000)
        {
            BeforeStep = () =>
            {
                step.Wait();
                time.Pass(TimeSpan.FromSeconds(secondsPerStep));
            },
        };
        using var engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 1, MaxWaiting = 1 }, time);
        await Answer(RequestPriority.Batch);
        secondsPerStep = 1;
        await Answer(RequestPriority.Interactive);
        step.Reset();
        foreach (var token in new[] { 1, 2 }) engine.Submit(Requests.Greedy([token], 4).Request);
        var named = EngineMetrics.Priorities.Select(p => Assert.Throws<RefusedException>(() => engine.Submit(Requests.Greedy([3], 4, priority: p).Request)).Error.RetryAfter!.Value.TotalSeconds).ToList();
        step.Set();
        Assert.InRange(named[(int)RequestPriority.Interactive], 1, 4 * 3);   // four steps each, at most three such answers
        Assert.Equal(60, named[(int)RequestPriority.Batch]);

        async Task Answer(RequestPriority priority)
        {
            var (request, consumer) = Requests.Greedy([9], 4, priority: priority);
            engine.Submit(request);
            await consumer.Done.Task.WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task QueueFullOfBatchWork_TakesInteractiveRequests()
    {
        using var step = new SemaphoreSlim(0);
        using var engine = new EngineLoop(new FakeExecutor(10_000) { BeforeStep = step.Wait }, new SchedulerOptions { MaxRunning = 2, MaxWaiting = 3 }, TimeProvider.System);
        for (var i = 1; i <= 5; i++) engine.Submit(Requests.Greedy([i], 4, priority: RequestPriority.Batch).Request);
        var refused = Record.Exception(() => engine.Submit(Requests.Greedy([9], 4, priority: RequestPriority.Batch).Request));
        var (urgent, consumer) = Requests.Greedy([9], 4);
        var taken = Record.Exception(() => engine.Submit(urgent));
        step.Release(10_000);
        Assert.Equal("engine-busy", Assert.IsType<RefusedException>(refused).Error.Code);
        Assert.Null(taken);
        await consumer.Done.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task ManyThreadsSubmittingAndCancelling_EveryRequestEndsOnce()
    {
        var executor = new FakeExecutor(400, maxSequences: 20);
        using var engine = new EngineLoop(executor, new SchedulerOptions { MaxRunning = 6, MaxWaiting = 10_000 }, TimeProvider.System);
        var all = await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            var random = new Random(worker);
            return Enumerable.Range(0, 150).Select(_ =>
            {
                var made = Requests.Greedy([.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(1, 50))], random.Next(1, 40));
                engine.Submit(made.Request);
                if (random.Next(3) == 0) engine.Cancel(made.Request);
                return made;
            }).ToList();
        })));
        await Task.WhenAll(all.SelectMany(a => a).Select(a => a.Consumer.Done.Task)).WaitAsync(Patience);
        await engine.Call(() => 0);
        Assert.All(all.SelectMany(a => a), a => Assert.Single(a.Consumer.Ends));
        Assert.Equal(600, engine.Metrics.Finished + engine.Metrics.Cancelled);
        Assert.Equal(all.SelectMany(a => a).Sum(a => a.Consumer.Tokens.Count), engine.Metrics.GeneratedTokens);
    }
}
