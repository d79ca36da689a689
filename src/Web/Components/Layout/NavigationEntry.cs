using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Components.Layout;

/// <summary>The steps of the pipeline, as groups of the navigation.</summary>
public enum PipelineStep { Data, Tune, Prove, Serve, Use, Run }

/// <summary>
/// A page in the navigation; a feature registers its own: <c>services.AddSingleton(new NavigationEntry(PipelineStep.Data, "Datasets", Links.Datasets, Icons.Datasets))</c>.
/// </summary>
public sealed record NavigationEntry(PipelineStep Step, string Title, string Href, string Icon)
{
    public Role Minimum { get; init; } = Role.Viewer;

    /// <summary>Order within its step.</summary>
    public int Order { get; init; }

    /// <summary>Has a place in the bottom bar of a phone, which holds four and "More".</summary>
    public bool OnPhoneBar { get; init; }

    /// <summary>The small count beside it, in the workspace of the context; null for none.</summary>
    public Func<PlatformDbContext, CancellationToken, Task<NavigationCount?>>? Count { get; init; }

    /// <summary>Entity types that change the count.</summary>
    public IReadOnlyList<Type> Watches { get; init; } = [];
}

/// <summary>A number, or a number that is live ("2 live").</summary>
public sealed record NavigationCount(int Value, bool IsLive = false);
