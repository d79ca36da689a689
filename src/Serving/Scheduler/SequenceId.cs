namespace TokenMill.Serving.Scheduler;

/// <summary>A sequence whose keys and values the runner holds. Ids are small, dense and reused.</summary>
public readonly record struct SequenceId(int Value);
