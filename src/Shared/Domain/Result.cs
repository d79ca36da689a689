using System.Diagnostics.CodeAnalysis;

namespace TokenMill.Shared.Domain;

/// <summary>What a use case without a value answers: done, or the <see cref="Error"/> that says why not.</summary>
public readonly record struct Result
{
    private Result(Error? error) => Error = error;

    public static Result Ok => default;

    public Error? Error { get; }

    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsOk => Error is null;

    /// <summary>For the border where an error becomes a refusal.</summary>
    public void OrThrow()
    {
        if (Error is not null) throw new RefusedException(Error);
    }

    public static implicit operator Result(Error error) => new(error);
}

/// <summary>What a use case answers: a value, or the <see cref="Error"/> that says why there is none.</summary>
public readonly record struct Result<T>
{
    private Result(T? value, Error? error) => (Value, Error) = (value, error);

    public T? Value { get; }
    public Error? Error { get; }

    [MemberNotNullWhen(true, nameof(Value))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsOk => Error is null;

    /// <summary>For the border where an error becomes a refusal.</summary>
    public T OrThrow() => IsOk ? Value : throw new RefusedException(Error);

    public static implicit operator Result<T>(T value) => new(value, null);
    public static implicit operator Result<T>(Error error) => new(default, error);
}
