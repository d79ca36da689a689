namespace TokenMill.Shared.Domain;

/// <summary>An expected failure. <see cref="Code"/> is kebab-case and stable; <see cref="Remedy"/> says what to do next.</summary>
public sealed record Error(string Code, string Message, string Remedy)
{
    /// <summary>What the error is about: a key, a tensor, a column; null for the thing as a whole.</summary>
    public string? Field { get; init; }

    /// <summary>When it is worth trying again; null: not known, or never.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public override string ToString() => Remedy.Length == 0 ? $"{Code}: {Message}" : $"{Code}: {Message}; {Remedy}";
}

/// <summary>
/// Carries an <see cref="Error"/> out of deep code (parsers, native borders) to the border of a command, a request or a job,
/// where it becomes a message for a person. A bug is any other exception.
/// </summary>
public sealed class RefusedException(Error error, Exception? inner = null) : Exception(error.ToString(), inner)
{
    public RefusedException(string code, string message, string remedy = "") : this(new Error(code, message, remedy)) { }

    public Error Error { get; } = error;
}
