using System.Collections.Concurrent;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Counts tokens in the background, one dataset version after the other: after each import, and when somebody asks for it.</summary>
public sealed partial class TokenCounts(CountTokens count, ILogger<TokenCounts> log) : IHostedService, IDisposable
{
    private readonly ConcurrentDictionary<DatasetVersionId, Task> _running = new();
    private readonly SemaphoreSlim _one = new(1);
    private readonly CancellationTokenSource _shutdown = new();

    /// <summary>Counting, or waiting for its turn.</summary>
    public bool IsRunning(DatasetVersionId id) => _running.ContainsKey(id);

    /// <summary>When it ends the version has changed, with statistics or with an error.</summary>
    public void Begin(WorkspaceId workspace, DatasetVersionId id)
    {
        var ended = new TaskCompletionSource();
        if (_running.TryAdd(id, ended.Task)) _ = RunAsync(workspace, id, ended);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _shutdown.CancelAsync();
        await Task.WhenAll(_running.Values).WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        _one.Dispose();
        _shutdown.Dispose();
    }

    private async Task RunAsync(WorkspaceId workspace, DatasetVersionId id, TaskCompletionSource ended)
    {
        try
        {
            var tokens = await CountAsync(workspace, id);
            _running.TryRemove(id, out _);                   // before the change is announced: who hears of it sees that counting has ended
            await count.StoreAsync(workspace, id, tokens, _shutdown.Token);
        }
        catch (OperationCanceledException) when (_shutdown.IsCancellationRequested)
        {
            // Not counted: the page offers to count.
        }
        catch (Exception e)
        {
            LogFault(log, e, id);
        }
        finally
        {
            _running.TryRemove(id, out _);
            ended.SetResult();
        }
    }

    private async Task<DatasetTokens> CountAsync(WorkspaceId workspace, DatasetVersionId id)
    {
        await _one.WaitAsync(_shutdown.Token);
        try
        {
            return await count.RunAsync(workspace, id, _shutdown.Token);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            LogFault(log, e, id);
            return new DatasetTokens { Error = new Error("count-fault", "Counting ended by a fault of the platform", "count again; the log has the reason") };
        }
        finally
        {
            _one.Release();
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Counting the tokens of dataset version {DatasetVersionId} ended by a fault")]
    private static partial void LogFault(ILogger logger, Exception fault, DatasetVersionId datasetVersionId);
}
