namespace TokenMill.Web.Nodes;

/// <summary>How a child ended: its exit code (128 + signal when a signal ended it) and the last lines it wrote to stderr.</summary>
public sealed record ChildExit(int Code, string Stderr)
{
    /// <summary>One clause for people: how it ended.</summary>
    public string Reason => Code switch
    {
        0 => "it ended",
        130 or 143 => "it was interrupted",
        132 => "it met an instruction this processor lacks (SIGILL)",
        134 => "it aborted (SIGABRT)",
        135 or 139 => "it crashed in native code (SIGSEGV or SIGBUS)",
        137 => "it was killed (SIGKILL; the system does this when memory runs out)",
        _ => $"it ended with exit code {Code}",
    };
}
