using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using TokenMill.Shared.Domain;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>A deployment that answers now. <see cref="EngineModel"/> is the "model" its engine knows these weights by; null is the engine's base.</summary>
public sealed record RunningDeployment(DeploymentId Id, ServingProcess Engine, string? EngineModel);

/// <summary>Which deployments answer at this moment in this process. Whoever asks has already checked that the deployment may be used.</summary>
public sealed class RunningDeployments
{
    private readonly ConcurrentDictionary<DeploymentId, RunningDeployment> _running = new();

    public bool TryGet(DeploymentId id, [NotNullWhen(true)] out RunningDeployment? deployment) => _running.TryGetValue(id, out deployment);

    internal void Add(RunningDeployment deployment) => _running[deployment.Id] = deployment;

    internal void Remove(DeploymentId id) => _running.TryRemove(id, out _);
}
