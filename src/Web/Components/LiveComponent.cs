using Microsoft.AspNetCore.Components;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Components;

/// <summary>
/// A page or part that shows what is true now: it loads when it appears and again when rows it <see cref="Watches"/> have changed
/// in its workspace, at most four times a second. Put the reading into <see cref="LoadAsync"/>; the actor is checked each time.
/// </summary>
public abstract class LiveComponent : ComponentBase, IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _gone = new();
    private IDisposable? _subscription;
    private ExecutionContext? _reader;
    private int _pending;
    private bool _loading;

    [Inject] protected PlatformDatabase Database { get; set; } = default!;
    [Inject] protected CurrentUser CurrentUser { get; set; } = default!;
    [Inject] protected Display Display { get; set; } = default!;
    [Inject] protected TimeProvider Time { get; set; } = default!;

    protected LiveComponent() => Gone = _gone.Token;

    /// <summary>Ends when the page is left.</summary>
    protected CancellationToken Gone { get; }

    /// <summary>Entity types whose changes concern this page.</summary>
    protected abstract IReadOnlySet<Type> Watches { get; }

    /// <summary>Lowest role that may see it.</summary>
    protected virtual Role Minimum => Role.Viewer;

    /// <summary>Reads what the page shows. A refusal (not found, not allowed) is shown by the layout.</summary>
    protected abstract Task LoadAsync(Actor actor);

    /// <summary>Loads again now, after an action of this page.</summary>
    protected async Task ReloadAsync()
    {
        _loading = true;
        try
        {
            await LoadAsync(await CurrentUser.RequireAsync(Minimum, Gone));
        }
        finally
        {
            _loading = false;
        }
    }

    protected override async Task OnInitializedAsync()
    {
        var actor = await CurrentUser.RequireAsync(Minimum, Gone);
        _reader = ExecutionContext.Capture();
        if (RendererInfo.IsInteractive && Watches.Count > 0) _subscription = Database.Changes.Subscribe(actor.WorkspaceId, Hear);
        await LoadAsync(actor);
    }

    /// <summary>Called on the writer's thread: notes the change, and refreshes at the end of the interval, in the reader's language and not the writer's.</summary>
    private void Hear(IReadOnlySet<Type> types)
    {
        if (!Watches.Overlaps(types) || Interlocked.Exchange(ref _pending, 1) == 1) return;
        ExecutionContext.Run(_reader!, _ => _ = RefreshLaterAsync(), null);
    }

    private async Task RefreshLaterAsync()
    {
        try
        {
            await Task.Delay(Interval, Gone);
            Interlocked.Exchange(ref _pending, 0);
            await InvokeAsync(async () =>
            {
                if (_loading) await Task.Delay(Interval, Gone);
                await ReloadAsync();
                StateHasChanged();
            });
        }
        catch (OperationCanceledException) when (Gone.IsCancellationRequested)
        {
            // The page was left meanwhile.
        }
        catch (Exception e)
        {
            await DispatchExceptionAsync(e);
        }
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _subscription?.Dispose();
        await _gone.CancelAsync();
        _gone.Dispose();
    }
}
