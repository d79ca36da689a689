using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Features.Deployments;

/// <summary>
/// Makes true what the database wants: one <see cref="DeploymentReplica"/> for each deployment that should run, none for the others.
/// The database is the only memory: after a crash of the portal the next start brings back what should run.
/// </summary>
public sealed partial class DeploymentSupervisor(ReplicaServices services, ILogger<DeploymentSupervisor> log) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly ConcurrentQueue<DeploymentId> _restarts = new();
    private readonly Dictionary<DeploymentId, (CancellationTokenSource Stop, Task Task)> _replicas = [];

    /// <summary>Its options were changed: it begins anew with them.</summary>
    public void Restart(DeploymentId id) => _restarts.Enqueue(id);

    /// <summary>Something was changed: look now instead of at the next round.</summary>
    public void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // It will look anyway.
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                await ReconcileAsync(stoppingToken);
                await _wake.WaitAsync(Period, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await Task.WhenAll(_replicas.Values.Select(r => r.Task));
        }
    }

    private async Task ReconcileAsync(CancellationToken stoppingToken)
    {
        foreach (var (id, replica) in _replicas.Where(r => r.Value.Task.IsCompleted).ToList())
        {
            if (replica.Task.Exception is { } fault) LogReplicaFault(log, fault.GetBaseException(), id);
            replica.Stop.Dispose();
            _replicas.Remove(id);
        }

        while (_restarts.TryDequeue(out var id))
            if (_replicas.TryGetValue(id, out var replica)) await replica.Stop.CancelAsync();      // it is still wanted, so a later round starts it again
        var wanted = await WantedAsync(stoppingToken);
        foreach (var (id, replica) in _replicas)
            if (!wanted.ContainsKey(id)) await replica.Stop.CancelAsync();
        foreach (var (id, workspace) in wanted)
        {
            if (_replicas.ContainsKey(id)) continue;
            var stop = new CancellationTokenSource();
            var replica = new DeploymentReplica(id, workspace, services);
            _replicas.Add(id, (stop, Task.Run(() => replica.RunAsync(stop.Token, stoppingToken), CancellationToken.None)));
        }
    }

    private async Task<Dictionary<DeploymentId, WorkspaceId>> WantedAsync(CancellationToken cancellationToken)
    {
        await using var db = services.Database.Open(WorkspaceScope.All);
        return await db.Deployments
            .Where(d => d.DeletedAt == null && d.DesiredState == DesiredState.Running && d.State != DeploymentState.Failed)
            .ToDictionaryAsync(d => d.Id, d => d.WorkspaceId, cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Supervision of deployment {DeploymentId} ended by a fault; it is started again")]
    private static partial void LogReplicaFault(ILogger logger, Exception fault, DeploymentId deploymentId);
}
