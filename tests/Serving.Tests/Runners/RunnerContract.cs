using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;
using TokenMill.Serving.Tests.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Runners;

/// <summary>
/// What the scheduler relies on, whatever computes: a sequence's logits depend on its tokens and the adapter alone, not on how it came to be
/// (in one step or many, alone or beside others, forked, cut, saved and restored).
/// </summary>
public abstract class RunnerContract(ITestOutputHelper output)
{
    private const int Capacity = 512;

    /// <summary>A fresh runner with room for that many tokens, or the few more that it rounds up to.</summary>
    protected abstract IModelExecutor Create(int capacityTokens);

    /// <summary>By how much the logits of one token may differ when it is computed in another step: how sums are rounded depends on the step's size.</summary>
    protected abstract double Tolerance { get; }

    /// <summary>An adapter that changes answers; null: this model has none.</summary>
    protected virtual string? Adapter => null;

    [Fact]
    public void OneStep_IsManySteps()
    {
        using var runner = Create(Capacity);
        var (random, whole, single) = (new Random(1), new RunnerDriver(runner), new RunnerDriver(runner));
        var tokens = Tokens(runner, random, 12);
        whole.Add(0, tokens, LogitsWanted.All);
        whole.Execute();
        var rows = Enumerable.Range(0, tokens.Length).Select(whole.Logits).ToList();
        for (var i = 0; i < tokens.Length; i++)
        {
            single.Add(1, [tokens[i]], LogitsWanted.Last);
            single.Execute();
            Same(rows[i], single.Logits(0), $"token {i}");
        }
    }

    /// <summary>Else nothing here would prove anything.</summary>
    [Fact]
    public void OneOtherToken_ChangesLogitsByMoreThanTheTolerance()
    {
        using var runner = Create(Capacity);
        var text = Tokens(runner, new Random(9), 20);
        int[] other = [.. text[..^3], text[^3] % (runner.VocabularySize - 1) + 1, .. text[^2..]];
        var difference = Alone(text).Zip(Alone(other), (a, b) => Math.Abs(a - b)).Max();
        output.WriteLine($"one other token, two before the last: logits differ by {difference:0.00}, {difference / Tolerance:0.0} times the tolerance");
        Assert.True(difference > 2 * Tolerance);
    }

    [Fact]
    public void SequencesInOneStep_AreAsAlone()
    {
        using var runner = Create(Capacity);
        var (random, driver) = (new Random(2), new RunnerDriver(runner));
        int[][] texts = [Tokens(runner, random, 1), Tokens(runner, random, 17), Tokens(runner, random, 40), Tokens(runner, random, 5)];
        for (var i = 0; i < texts.Length; i++) driver.Add(i, texts[i][..((texts[i].Length + 1) / 2)], LogitsWanted.None);
        driver.Execute();
        for (var i = 0; i < texts.Length; i++)
            if (texts[i].Length > 1) driver.Add(i, texts[i][((texts[i].Length + 1) / 2)..], LogitsWanted.Last);
        driver.Execute();
        for (var i = 1; i < texts.Length; i++) Same(Alone(texts[i]), driver.Logits(i - 1), $"sequence {i}");
    }

    [Fact]
    public void Fork_GoesItsOwnWay_AndOutlivesItsSource()
    {
        using var runner = Create(Capacity);
        Reference.Require(runner.SharesPrefixes, "sequences of this model cannot be forked");
        var (random, driver) = (new Random(3), new RunnerDriver(runner));
        var (text, other, more) = (Tokens(runner, random, 30), Tokens(runner, random, 8), Tokens(runner, random, 4));
        driver.Add(0, text, LogitsWanted.None);
        driver.Execute();
        driver.Fork(0, 1, 20);
        driver.Add(0, more, LogitsWanted.Last);
        driver.Add(1, other, LogitsWanted.Last);
        driver.Execute();
        Same(Alone([.. text, .. more]), driver.Logits(0), "the source");
        Same(Alone([.. text[..20], .. other]), driver.Logits(1), "the fork");
        driver.Drop(0);
        driver.Add(1, more, LogitsWanted.Last);
        driver.Execute();
        Same(Alone([.. text[..20], .. other, .. more]), driver.Logits(0), "the fork without its source");
    }

    [Fact]
    public void TruncatedAndDropped_ForgetWhatWasThere()
    {
        using var runner = Create(Capacity);
        Reference.Require(runner.SharesPrefixes, "sequences of this model cannot be cut");
        var (random, driver) = (new Random(4), new RunnerDriver(runner));
        var (text, other) = (Tokens(runner, random, 30), Tokens(runner, random, 8));
        driver.Add(0, text, LogitsWanted.None);
        driver.Add(1, other, LogitsWanted.None);
        driver.Execute();
        driver.Truncate(0, 11);
        driver.Drop(1);
        driver.Add(0, other, LogitsWanted.Last);
        driver.Add(1, text, LogitsWanted.Last);
        driver.Execute();
        Same(Alone([.. text[..11], .. other]), driver.Logits(0), "truncated");
        Same(Alone(text), driver.Logits(1), "dropped");
    }

    /// <summary>For runners that have an <see cref="Adapter"/> to try.</summary>
    protected void CheckThatAdapterChangesItsOwnSequencesOnly()
    {
        using var runner = Create(Capacity);
        var (random, driver) = (new Random(5), new RunnerDriver(runner));
        var text = Tokens(runner, random, 12);
        Assert.Null(runner.LoadAdapter(Adapter!));
        driver.Add(0, text, LogitsWanted.Last);
        driver.Execute(Adapter);
        var tuned = driver.Logits(0);
        driver.Add(1, text, LogitsWanted.Last);
        driver.Execute();
        Same(Alone(text), driver.Logits(0), "the base, after a step with an adapter");
        Assert.NotEqual(tuned, driver.Logits(0));
        runner.UnloadAdapter(Adapter!);
        Assert.Null(runner.LoadAdapter(Adapter!));
        driver.Add(2, text, LogitsWanted.Last);
        driver.Execute(Adapter);
        Same(tuned, driver.Logits(0), "the adapter, loaded again");
    }

    [Fact]
    public void CacheFull_SaysSo_AndLosesNothing()
    {
        using var runner = Create(Capacity);
        var (random, driver) = (new Random(6), new RunnerDriver(runner));
        var (text, more) = (Tokens(runner, random, 20), Tokens(runner, random, 6));
        driver.Add(0, text, LogitsWanted.None);
        driver.Execute();
        var sequence = 1;
        for (var free = runner.CapacityTokens - text.Length - 2; free > 0; sequence++)
        {
            var count = Math.Min(free, runner.MaxStepTokens);
            driver.Add(sequence, Tokens(runner, random, count), LogitsWanted.None);
            driver.Execute();
            free -= count;
        }
        driver.Add(0, more, LogitsWanted.Last);
        Assert.Equal(StepOutcome.CacheFull, driver.TryExecute());
        driver.Drop(1);
        driver.Add(0, more, LogitsWanted.Last);
        driver.Execute();
        Same(Alone([.. text, .. more]), driver.Logits(0), "after room was made");
    }

    [Fact]
    public void SavedSequence_GoesOnInAnotherRunner_AsIfNothingHadHappened()
    {
        using var runner = Create(Capacity);
        Reference.Require(runner.StateFormat is not null, "sequences of this model cannot be moved");
        var (random, driver) = (new Random(7), new RunnerDriver(runner));
        var (text, other, more) = (Tokens(runner, random, 40), Tokens(runner, random, 9), Tokens(runner, random, 5));
        driver.Add(0, text, LogitsWanted.None);
        driver.Execute();
        driver.Fork(0, 1, 25);                                 // the one that is saved shares cells, as conversations do
        driver.Add(1, other, LogitsWanted.None);
        driver.Execute();
        var state = runner.Save(new SequenceId(1), int.MaxValue);
        Assert.Equal("state-too-large", Assert.Throws<RefusedException>(() => runner.Save(new SequenceId(1), state.Length - 1)).Error.Code);
        Assert.Equal(state, runner.Save(new SequenceId(1), state.Length));
        driver.Add(1, more, LogitsWanted.All);
        driver.Execute();

        using var target = Create(Capacity);
        var moved = new RunnerDriver(target);
        moved.Add(0, text, LogitsWanted.None);
        moved.Execute();
        Assert.Equal(runner.StateFormat, target.StateFormat);
        foreach (var broken in new[] { [], state[..7], state[..(state.Length / 2)], state[..^1] }) Assert.False(target.Restore(new SequenceId(2), 34, broken));
        Assert.False(target.Restore(new SequenceId(2), 33, state));
        Assert.False(target.Restore(new SequenceId(2), 35, state));
        Assert.True(target.Restore(new SequenceId(2), 34, state));
        moved.Held(2, 34);
        moved.Add(2, more, LogitsWanted.All);
        moved.Execute();
        for (var i = 0; i < more.Length; i++) Same(driver.Logits(i), moved.Logits(i), $"token {i} after the move");
        output.WriteLine($"{state.Length} bytes for 34 tokens");
    }

    /// <summary>The real scheduler, prefixes, preemption and guesses included: every token is what the model says of the tokens before it.</summary>
    [Fact]
    public void ScheduledTogether_EveryAnswerIsTheModelsOwn()
    {
        using var runner = Create(Capacity / 2);
        var random = new Random(8);
        var scheduler = new RequestScheduler(runner, new SchedulerOptions { MaxRunning = 6, StepTokens = 48 });
        var system = Tokens(runner, random, 40);
        var all = Enumerable.Range(0, 8).Select(i =>
        {
            var adapter = i % 4 == 3 ? Adapter : null;
            return Requests.Greedy([.. i % 2 == 0 ? system : [], .. Tokens(runner, random, 20 + 6 * i)], 24, adapter, priority: (RequestPriority)(i % 3 / 2));
        }).ToList();
        foreach (var (request, _) in all) scheduler.Submit(request);
        while (scheduler.Step(runner)) { }
        output.WriteLine($"{scheduler.Preemptions} preemptions, {scheduler.PrefixTokensFound} of {scheduler.PrefixTokensAsked} tokens found");
        Assert.True(scheduler.Preemptions > 0 && scheduler.PrefixTokensFound > 0, "too little load to prove anything");

        var worst = 0.0;
        foreach (var (request, consumer) in all)
        {
            Assert.Equal(consumer.Tokens, request.Tokens[request.PromptTokens..].ToArray());
            var rows = LogitsFrom(request.PromptTokens - 1, request.Tokens.ToArray(), request.Key.Adapter);
            for (var i = 0; i < request.NewTokens; i++) worst = Math.Max(worst, rows[i].Max() - rows[i][consumer.Tokens[i]]);
        }
        output.WriteLine($"an answer's token is at most {worst:0.0000} less likely than the best");
        Assert.InRange(worst, 0, 2 * Tolerance);
    }

    private static int[] Tokens(IModelExecutor runner, Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(1, runner.VocabularySize))];

    private float[] Alone(int[] tokens) => LogitsFrom(tokens.Length - 1, tokens, null)[^1];

    /// <summary>Logits after each token from that position on, computed in a runner that does nothing else.</summary>
    private List<float[]> LogitsFrom(int position, int[] tokens, string? adapter)
    {
        using var runner = Create(Capacity);
        if (adapter is not null) Assert.Null(runner.LoadAdapter(adapter));
        var driver = new RunnerDriver(runner);
        List<float[]> rows = [];
        foreach (var chunk in tokens[..position].Chunk(runner.MaxStepTokens))
        {
            driver.Add(0, chunk, LogitsWanted.None);
            driver.Execute(adapter);
        }
        foreach (var chunk in tokens[position..].Chunk(Math.Min(runner.MaxStepTokens, runner.MaxStepRows)))
        {
            driver.Add(0, chunk, LogitsWanted.All);
            driver.Execute(adapter);
            rows.AddRange(Enumerable.Range(0, chunk.Length).Select(driver.Logits));
        }
        return rows;
    }

    private void Same(float[] expected, float[] actual, string what)
    {
        var worst = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        output.WriteLine($"{what}: logits differ by at most {worst:0.0000}");
        Assert.InRange(worst, 0, Tolerance);
    }
}
