using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Scheduler;

/// <summary>Takes the likeliest token; token 0 ends the answer.</summary>
internal sealed class GreedyConsumer : ILogitsConsumer
{
    public List<int> Tokens { get; } = [];
    public List<EndReason> Ends { get; } = [];
    public Error? Error { get; private set; }
    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    public bool WantsEveryPosition => false;

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        var token = FakeExecutor.ArgMax(logits);
        Tokens.Add(token);
        return token == 0 ? Decision.End(token) : Decision.Continue(token);
    }

    public void OnEnded(EndReason reason, Error? error)
    {
        Ends.Add(reason);
        Error = error;
        Done.SetResult();
    }
}

/// <summary>Takes the likeliest token nine times of ten, else any; never ends by itself.</summary>
internal sealed class SamplingConsumer(int seed) : ILogitsConsumer
{
    private readonly Random _random = new(seed);

    public List<int> Tokens { get; } = [];
    public bool WantsEveryPosition => false;

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        var token = _random.Next(10) > 0 ? FakeExecutor.ArgMax(logits) : _random.Next(logits.Length);
        Tokens.Add(token);
        return Decision.Continue(token);
    }

    public void OnEnded(EndReason reason, Error? error) => Assert.Null(error);
}

/// <summary>Wants the logits after every token of its prompt.</summary>
internal sealed class ScoringConsumer : ILogitsConsumer
{
    public List<(int Position, int Token)> Seen { get; } = [];
    public List<EndReason> Ends { get; } = [];
    public bool WantsEveryPosition => true;

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        Seen.Add((position, FakeExecutor.ArgMax(logits)));
        return Decision.End();
    }

    public void OnEnded(EndReason reason, Error? error) => Ends.Add(reason);
}

internal static class Requests
{
    public static (EngineRequest Request, GreedyConsumer Consumer) Greedy(int[] prompt, int maxNewTokens, string? adapter = null, string tenant = "", RequestPriority priority = RequestPriority.Interactive)
    {
        var consumer = new GreedyConsumer();
        return (new EngineRequest(prompt, maxNewTokens, new CacheKey(tenant, adapter), consumer) { Priority = priority }, consumer);
    }

    public static int[] Prompt(Random random, int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(1, 50))];

    /// <summary>What a request answers when it is alone in the world.</summary>
    public static List<int> Alone(FakeExecutor executor, int[] prompt, int maxNewTokens, string? adapter = null)
    {
        List<int> tokens = [.. prompt], answer = [];
        while (answer.Count < maxNewTokens)
        {
            var token = executor.Next(tokens, adapter);
            answer.Add(token);
            tokens.Add(token);
            if (token == 0) break;
        }
        return answer;
    }

    /// <summary>One turn of the engine without its thread.</summary>
    public static bool Step(this RequestScheduler scheduler, IModelExecutor executor, Action<StepPlan>? planned = null)
    {
        if (scheduler.Plan() is not { } plan) return false;
        planned?.Invoke(plan);
        if (executor.Execute(plan) == StepOutcome.CacheFull) scheduler.Retry();
        else scheduler.Complete(plan);
        return true;
    }
}
