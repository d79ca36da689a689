using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Guesses of a draft model: they save steps where they are right and cheap, cost next to nothing where not, and never change an answer.</summary>
public sealed class DraftModelTests(ITestOutputHelper output)
{
    /// <summary>Time passes with the steps of both runners; the draft's cost a share of the other's.</summary>
    private sealed class StepTime(FakeExecutor answering, FakeExecutor draft, double draftShare) : TimeProvider
    {
        public override long GetTimestamp() => (long)((answering.Steps + draftShare * draft.Steps) * TimestampFrequency);
    }

    [Fact]
    public void RandomLoad_WithDraftsOfAnyQuality_AnswersAsAlone()
    {
        long steps = 0, drafted = 0, answered = 0;
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var executor = new FakeExecutor(random.Next(150, 400), maxSequences: 14) { MaxStepTokens = 40, MaxStepRows = 24 };
            // Too little room in the draft's runner, chunks shorter than prompts, shorter sequences: nothing of it shows in an answer.
            var guessing = new FakeExecutor(random.Next(40, 400), maxSequences: random.Next(1, 14), vocabulary: random.Next(48, 52))
            {
                MaxStepTokens = random.Next(24, 60), MaxStepRows = 24, ErrsOnceIn = random.Next(6), MaxSequenceTokens = random.Next(30, 200),
                FailingSteps = [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(1, 100))],
            };
            using var draft = new DraftModel(guessing, Math.Min(guessing.VocabularySize, executor.VocabularySize), new StepTime(executor, guessing, 0.01));
            var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 6, GuessedStepTokens = 16 }, null, draft);
            List<(EngineRequest Request, GreedyConsumer Consumer, int[] Prompt, int Most, string? Adapter)> all = [];
            for (var step = 0; step < 150 || scheduler.RunningCount + scheduler.WaitingCount > 0; step++)
            {
                Assert.True(step < 5_000, $"seed {seed}: no end in sight");
                if (step < 150 && random.Next(5) == 0)
                {
                    int[] prompt = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(1, 48))];
                    var (most, adapter) = (random.Next(1, 60), random.Next(3) == 0 ? "a" : null);
                    var (request, consumer) = Requests.Greedy(prompt, most, adapter);
                    all.Add((request, consumer, prompt, most, adapter));
                    scheduler.Submit(request);
                }
                if (all.Count > 0 && random.Next(30) == 0) scheduler.End(all[random.Next(all.Count)].Request, EndReason.Cancelled);
                scheduler.Step(executor);
            }
            foreach (var (_, consumer, prompt, most, adapter) in all)
            {
                var alone = Requests.Alone(executor, prompt, most, adapter);
                Assert.Equal(consumer.Ends[0] == EndReason.Cancelled ? alone[..consumer.Tokens.Count] : alone, consumer.Tokens);
                answered += consumer.Tokens.Count;
            }
            (steps, drafted) = (steps + executor.Steps, drafted + guessing.Steps);
        }
        output.WriteLine($"{answered} tokens in {steps} steps and {drafted} of the draft model");
        Assert.True(drafted > 500, "too little was drafted to prove anything");
    }

    [Fact]
    public void GoodAndCheapDraft_SavesSteps_SampledAnswersAreTheSame()
    {
        var (plain, plainSteps, _) = Sample(null);
        var (drafted, steps, _) = Sample(0.05);
        output.WriteLine($"{plainSteps} steps without, {steps} with");
        Assert.Equal(plain, drafted);
        Assert.InRange(steps, 1, 0.75 * plainSteps);
    }

    [Theory]
    [InlineData(0.5, 1)]                                       // always wrong
    [InlineData(1.0, 0)]                                       // always right, but as slow as the model itself
    public void DraftThatCannotWin_CostsLessThanFivePercent(double share, int errsOnceIn)
    {
        var (_, plainSteps, _) = Sample(null, 12_000);
        var (_, steps, draftSteps) = Sample(share, 12_000, errsOnceIn);
        var cost = (steps + share * draftSteps) / plainSteps;
        output.WriteLine($"{plainSteps} steps without, {steps} with and {draftSteps} of the draft: {cost:0.000} of the time");
        Assert.InRange(cost, 0, 1.05);
    }

    private static (List<int> Tokens, int Steps, int DraftSteps) Sample(double? share, int tokens = 1_500, int errsOnceIn = 6)
    {
        var executor = new FakeExecutor(capacityTokens: 20_000) { Memory = 6 };
        var guessing = new FakeExecutor(capacityTokens: 20_000) { Memory = 6, ErrsOnceIn = errsOnceIn };
        using var draft = share is { } some ? new DraftModel(guessing, guessing.VocabularySize, new StepTime(executor, guessing, some)) : null;
        var scheduler = new RequestScheduler(executor, new SchedulerOptions(), null, draft);
        var consumer = new SamplingConsumer(3);
        scheduler.Submit(new EngineRequest([5, 6, 7], tokens, new CacheKey("", null), consumer));
        while (scheduler.Step(executor)) { }
        return (consumer.Tokens, executor.Steps, guessing.Steps);
    }
}
