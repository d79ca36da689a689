using System.Collections.Concurrent;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence;

/// <summary>
/// Tells who is watching that rows of some types have just been committed, so that pages show what is true now.
/// Listeners are called on the writer's thread: note it and return.
/// </summary>
public sealed class Changes
{
    private readonly ConcurrentDictionary<Subscription, byte> _subscriptions = new();

    /// <summary>Until disposed, <paramref name="listener"/> hears the types of the rows committed within the scope.</summary>
    public IDisposable Subscribe(WorkspaceScope scope, Action<IReadOnlySet<Type>> listener)
    {
        var subscription = new Subscription(this, scope, listener);
        _subscriptions[subscription] = 0;
        return subscription;
    }

    internal void Publish(IEnumerable<Change> changes)
    {
        foreach (var workspace in changes.GroupBy(c => c.Workspace))
        {
            var types = workspace.Select(c => c.Type).ToHashSet();
            foreach (var subscription in _subscriptions.Keys)
                if (subscription.Scope.SeesAll || subscription.Scope.Id == workspace.Key) subscription.Listener(types);
        }
    }

    private sealed class Subscription(Changes changes, WorkspaceScope scope, Action<IReadOnlySet<Type>> listener) : IDisposable
    {
        public WorkspaceScope Scope { get; } = scope;
        public Action<IReadOnlySet<Type>> Listener { get; } = listener;

        public void Dispose() => changes._subscriptions.TryRemove(this, out _);
    }
}

internal readonly record struct Change(WorkspaceId Workspace, Type Type);
