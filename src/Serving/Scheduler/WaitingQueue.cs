using System.Runtime.InteropServices;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Requests that wait, and whose turn it is: first the overdue one, then by priority; of one priority the tenant served least, and of one
/// tenant the oldest.
/// </summary>
internal sealed class WaitingQueue
{
    private readonly List<EngineRequest> _requests = [];       // by ticket

    public int Count => _requests.Count;

    /// <summary>To look through; a loop over it makes no garbage.</summary>
    public ReadOnlySpan<EngineRequest> Requests => CollectionsMarshal.AsSpan(_requests);

    public int CountOf(RequestPriority priority)
    {
        var count = 0;
        foreach (var request in _requests)
            if (request.Priority == priority) count++;
        return count;
    }

    /// <summary>At its place by age, so one that was preempted is ahead of those that came later.</summary>
    public void Add(EngineRequest request) => _requests.Insert(_requests.FindLastIndex(r => r.Ticket < request.Ticket) + 1, request);

    public void Remove(EngineRequest request) => _requests.Remove(request);

    /// <summary>Whose turn it is, without those passed over in this round.</summary>
    public EngineRequest? Next(long round)
    {
        EngineRequest? next = null;
        foreach (var request in _requests)
            if (request.PassedOverIn != round && (next is null || Compare(request, next) < 0)) next = request;
        return next;
    }

    private static int Compare(EngineRequest a, EngineRequest b) =>
        a.IsOverdue != b.IsOverdue ? (a.IsOverdue ? -1 : 1)
        : a.Priority != b.Priority ? a.Priority - b.Priority
        : a.Share!.ServedTokens.CompareTo(b.Share!.ServedTokens);
}
