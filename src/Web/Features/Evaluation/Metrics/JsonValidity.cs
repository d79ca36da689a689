using System.Text.Json;

namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>Whether an answer is JSON and nothing else (RFC 8259): no fence around it, no comment, no comma too many.</summary>
public static class JsonValidity
{
    public static double Score(string prediction)
    {
        try
        {
            using var document = JsonDocument.Parse(prediction);
            return 1;
        }
        catch (JsonException)
        {
            return 0;
        }
    }
}
