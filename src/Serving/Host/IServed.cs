using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Host;

/// <summary>A loaded model as the process sees it: one that writes text, or one that gives embeddings.</summary>
internal interface IServed : IDisposable
{
    string Name { get; }

    /// <summary>Ends when the model can answer no more; with the exception that broke it, if one did.</summary>
    Task<Exception?> Ended { get; }

    EngineMetrics Metrics { get; }

    /// <param name="secret">What every request brings; some orders are taken only where there is one.</param>
    void MapRoutes(IEndpointRouteBuilder app, string? secret);
}
