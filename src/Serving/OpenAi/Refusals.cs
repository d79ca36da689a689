using TokenMill.Shared.Domain;

namespace TokenMill.Serving.OpenAi;

internal static class Refusals
{
    /// <summary>A parameter with a value that makes no sense.</summary>
    public static RefusedException Invalid(string param, string message, string remedy = "") => new(new Error("invalid-value", message, remedy) { Field = param });

    /// <summary>A parameter of OpenAI's API that this server does not have.</summary>
    public static RefusedException Unsupported(string param, string remedy) => new(new Error("unsupported-parameter", $"{param} is not supported", remedy) { Field = param });
}
