using System.Runtime.InteropServices;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Requests under way, in the order in which they have a right to be: the overdue one, then by priority, then by age. The last one makes way
/// when room runs out. While an interactive one is here, batch requests pause: they keep their place and are in no step.
/// </summary>
internal sealed class RunningSet
{
    private readonly List<EngineRequest> _requests = [];
    private int _interactive;

    public int Count => _requests.Count;

    /// <summary>To look through; a loop over it makes no garbage.</summary>
    public ReadOnlySpan<EngineRequest> Requests => CollectionsMarshal.AsSpan(_requests);

    public EngineRequest Last => _requests[^1];
    public EngineRequest this[int index] => _requests[index];

    public int CountOf(RequestPriority priority) => priority == RequestPriority.Interactive ? _interactive : _requests.Count - _interactive;

    public bool IsPaused(EngineRequest request) => request.Priority == RequestPriority.Batch && !request.IsOverdue && _interactive > 0;

    /// <summary>Whether one that does not pause is just computing a prefix of this request's prompt that has at least so many tokens.</summary>
    public bool ComputesPrefixOf(EngineRequest request, int leastTokens)
    {
        if (request.Consumer.WantsEveryPosition) return false;
        foreach (var other in _requests)
        {
            if (other.Key != request.Key || IsPaused(other) || other.Consumer.WantsEveryPosition || other.TotalTokens - other.ComputedTokens <= 1) continue;
            var shared = request.Tokens[..(request.TotalTokens - 1)].CommonPrefixLength(other.Tokens);
            if (shared > other.ComputedTokens && shared >= leastTokens) return true;
        }
        return false;
    }

    public void Add(EngineRequest request)
    {
        _requests.Insert(_requests.FindLastIndex(r => GoesBefore(r, request)) + 1, request);
        if (request.Priority == RequestPriority.Interactive) _interactive++;
    }

    public void Remove(EngineRequest request)
    {
        if (_requests.Remove(request) && request.Priority == RequestPriority.Interactive) _interactive--;
    }

    private static bool GoesBefore(EngineRequest a, EngineRequest b) =>
        a.IsOverdue != b.IsOverdue ? a.IsOverdue : a.Priority != b.Priority ? a.Priority < b.Priority : a.Ticket < b.Ticket;
}
