namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>A place such as <c>messages[1].content</c>, or a plain key; it becomes text only when something is found there.</summary>
internal readonly record struct FieldPath(string List, int Index, string? Key)
{
    public override string ToString() => Key is null ? List : $"{List}[{Index}].{Key}";

    public static implicit operator string(FieldPath path) => path.ToString();

    public static implicit operator FieldPath(string key) => new(key, 0, null);
}
