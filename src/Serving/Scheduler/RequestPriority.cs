namespace TokenMill.Serving.Scheduler;

/// <summary>Whose work goes first: lower values.</summary>
public enum RequestPriority
{
    /// <summary>Somebody waits for the answer.</summary>
    Interactive,

    /// <summary>Computed in steps that no interactive request needs.</summary>
    Batch,
}
