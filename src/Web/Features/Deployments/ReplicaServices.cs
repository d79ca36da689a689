using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Hosting;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>What every replica works with.</summary>
public sealed record ReplicaServices(
    PlatformDatabase Database, DataDirectory Data, ModelFiles Files, MachineFacts Machine, CoreSharing Cores, ChooseWeights Weights, ParityCheck Parity, RunningDeployments Running, TimeProvider Time);
