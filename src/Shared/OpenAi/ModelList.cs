namespace TokenMill.Shared.OpenAi;

/// <summary>GET /v1/models.</summary>
public sealed record ModelList(IReadOnlyList<ModelList.Entry> Data)
{
    public string Object { get; init; } = "list";

    public sealed record Entry(string Id, long Created, string OwnedBy)
    {
        public string Object { get; init; } = "model";
    }
}
