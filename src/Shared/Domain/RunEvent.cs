namespace TokenMill.Shared.Domain;

/// <summary>One event of a fine-tune as the trainer said it; (run, sequence) is unique, so that one told twice is kept once.</summary>
public sealed class RunEvent(WorkspaceId workspaceId, FineTuneRunId runId, long sequence, string type, int step, string json, DateTimeOffset at) : IWorkspaceOwned
{
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public FineTuneRunId RunId { get; private set; } = runId;
    public long Sequence { get; private set; } = sequence;
    public string Type { get; private set; } = type;
    public int Step { get; private set; } = step;
    public string Json { get; private set; } = json;
    public DateTimeOffset At { get; private set; } = at;
}
