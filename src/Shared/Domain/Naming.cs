namespace TokenMill.Shared.Domain;

/// <summary>What people may call their things: 1 to 100 visible characters. Names are shown, never used as file names.</summary>
public static class Naming
{
    public const int MaxLength = 100;

    public static Error? Check(string? name)
    {
        if (string.IsNullOrWhiteSpace(name)) return new Error("name-missing", "The name is empty", "give it a name of 1 to 100 characters");
        if (name.Trim().Length > MaxLength) return new Error("name-too-long", $"The name has {name.Trim().Length} characters", $"shorten it to {MaxLength}");
        if (name.Any(char.IsControl)) return new Error("name-invalid", "The name has control characters", "use visible characters only");
        return null;
    }
}
