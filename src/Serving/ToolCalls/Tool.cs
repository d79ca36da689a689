using System.Text.Json.Nodes;

namespace TokenMill.Serving.ToolCalls;

/// <summary>A function that the model may call.</summary>
/// <param name="Path">Where it stands in the request, for messages.</param>
internal sealed record Tool(string Name, string? Description, JsonObject? Parameters, bool IsStrict, string Path)
{
    /// <summary>In the form that chat templates read.</summary>
    public JsonObject ToJson()
    {
        var function = new JsonObject { ["name"] = Name };
        if (Description is not null) function["description"] = Description;
        function["parameters"] = Parameters?.DeepClone() ?? new JsonObject { ["type"] = "object", ["properties"] = new JsonObject() };
        return new JsonObject { ["type"] = "function", ["function"] = function };
    }
}

/// <summary>Which functions a request offers, and whether one must be called.</summary>
internal sealed record ToolChoice(IReadOnlyList<Tool> Tools, bool MustCall, bool Parallel)
{
    public static ToolChoice None { get; } = new([], false, true);
}
