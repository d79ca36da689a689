using TokenMill.Serving.Quantization;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>Says how the start of a server goes: to a program that reads stdout, one JSON object a line, or to a caller in this process.</summary>
internal sealed class StartReport(Action<string>? url = null)
{
    private int _tenths;

    /// <summary>In tenths, to lines only.</summary>
    public void Loading(float progress)
    {
        var tenths = (int)(progress * 10);
        if (url is not null || tenths <= _tenths) return;
        _tenths = tenths;
        WriteLine(new { Type = "loading", Progress = tenths / 10.0 });
    }

    /// <summary>Which weights are served, and why.</summary>
    public void Chose(WeightTypeChoice choice)
    {
        if (url is null) WriteLine(new { Type = "weights", choice.FileType, WeightType = choice.Type, choice.Why, choice.Report });
        Console.Error.WriteLine($"weights: {choice.Why}");
    }

    public void Ready(string address)
    {
        if (url is null) WriteLine(new { Type = "ready", Url = address });
        else url(address);
    }

    /// <summary>To lines only: a caller gets the exception.</summary>
    public void Failed(Error error)
    {
        if (url is null) Console.Out.WriteLine(FailedLine(error));
    }

    public static string FailedLine(Error error) => Json.Serialize(new { Type = "failed", error.Code, error.Message, error.Remedy });

    private static void WriteLine<T>(T value)
    {
        Console.Out.WriteLine(Json.Serialize(value));
        Console.Out.Flush();
    }
}
