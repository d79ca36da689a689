using System.Globalization;
using System.Text.Json.Nodes;

namespace TokenMill.Shared.Formats.Families;

/// <summary>Numbers of config.json as Python reads them.</summary>
public static class ConfigNumber
{
    /// <summary>Always with a point or an exponent: Python tells 10000 from 10000.0.</summary>
    public static JsonNode Real(float value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return JsonNode.Parse(text.AsSpan().ContainsAny(".E") ? text : text + ".0")!;
    }
}
