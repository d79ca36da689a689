using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Guesses are tried where they pay, as far as they pay, on runners whose steps cost a known time by the number of their tokens.</summary>
public sealed class GuessCostsTests(ITestOutputHelper output)
{
    private const int Learning = 500, Tokens = 4_000, Words = 1_000;

    private static readonly Dictionary<string, Func<int, double>> Costs = new()
    {
        ["all alike"] = _ => 1,
        ["a third for each more"] = n => 1 + 0.33 * (n - 1),
        ["kernels for four"] = n => Math.Max(1, n / 4 * 1.3 + n % 4 * 0.9),
        ["cheap from eight on"] = n => n < 8 ? n : 2.5 + 0.1 * n,
        ["proportional"] = n => n,
        ["worse than proportional"] = n => 1.5 * n - 0.5,
    };

    private static readonly string[] Texts = ["copy", "copy, 2 % changed", "copy, 10 % changed", "copy, 30 % changed", "misleading", "both in turns"];

    public static TheoryData<string, string> All()
    {
        var all = new TheoryData<string, string>();
        foreach (var cost in Costs.Keys)
            foreach (var text in Texts) all.Add(cost, text);
        return all;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void GuessesNeverCostMuch_AndWinWhatTheBestLengthWins(string cost, string text)
    {
        var gain = Gain(Costs[cost], text, mostGuesses: 15, learns: true, slower: false);
        var fixedLengths = Enumerable.Range(1, 15).Select(length => (Length: length, Gain: Gain(Costs[cost], text, length, learns: false, slower: false))).ToList();
        var best = fixedLengths.MaxBy(f => f.Gain);
        output.WriteLine($"{cost}, {text}: {gain:0.00} of plain decoding; at most {best.Length} guesses: {best.Gain:0.00}; at most 15: {fixedLengths[^1].Gain:0.00}");
        Assert.InRange(gain, Math.Max(0.97, 0.85 * best.Gain), double.MaxValue);
    }

    /// <summary>What was learnt while the machine was busy with something else, or idle, is learnt anew.</summary>
    [Theory]
    [InlineData("a third for each more", "copy, 2 % changed", 1.4)]
    [InlineData("proportional", "copy, 10 % changed", 0.97)]
    public void MachineOfChangingSpeed_AsFarAsOnASteadyOne(string cost, string text, double least)
    {
        var gain = Gain(Costs[cost], text, mostGuesses: 15, learns: true, slower: true);
        output.WriteLine($"{gain:0.00}");
        Assert.InRange(gain, least, double.MaxValue);
    }

    /// <summary>Speed against plain decoding, after the time to learn.</summary>
    private static double Gain(Func<int, double> cost, string text, int mostGuesses, bool learns, bool slower)
    {
        var random = new Random(7);
        int[] prompt = [.. Enumerable.Range(0, 600).Select(_ => random.Next(Words))];
        var consumer = new Recitation(Answer(text, prompt, random));
        var executor = new SteadyExecutor(Words, [1], steps: 0);
        var scheduler = new RequestScheduler(executor, new SchedulerOptions { GuessedStepTokens = 1 + mostGuesses });
        scheduler.Submit(new EngineRequest(prompt, Tokens, new CacheKey("", null), consumer));
        var (time, plain) = (0.0, 0.0);
        while (scheduler.Plan() is { } plan)
        {
            executor.Execute(plan);
            var (before, speed) = (consumer.Given, slower && consumer.Given / 700 % 2 == 1 ? 3 : 1);
            var taken = speed * cost(plan.TokenCount);
            scheduler.Complete(plan, learns ? TimeSpan.FromMilliseconds(10 * taken) : null);
            if (before < Learning) continue;
            time += taken;
            plain += speed * cost(1) * (consumer.Given - before);
        }
        Assert.Equal(Tokens, consumer.Given);
        return plain / time;
    }

    private static int[] Answer(string text, int[] prompt, Random random)
    {
        var answer = new int[Tokens];
        for (var i = 0; i < Tokens; i++)
        {
            var copies = text == "both in turns" ? i / 300 % 2 == 0 : text != "misleading";
            var changed = text switch { "copy, 2 % changed" => 0.02, "copy, 10 % changed" => 0.1, "copy, 30 % changed" => 0.3, _ => 0 };
            answer[i] = !copies && i % 5 > 0 ? i % 5                       // four well-known tokens, and always another one behind them
                : copies && random.NextDouble() >= changed ? prompt[i % prompt.Length] : random.Next(Words);
        }
        return answer;
    }

    /// <summary>Gives the tokens of a text one by one, whatever the logits say.</summary>
    private sealed class Recitation(int[] text) : ILogitsConsumer
    {
        public int Given { get; private set; }
        public bool WantsEveryPosition => false;

        public Decision OnLogits(int position, ReadOnlySpan<float> logits) => Decision.Continue(text[Given++]);

        public void OnEnded(EndReason reason, Error? error) => Assert.Null(error);
    }
}
