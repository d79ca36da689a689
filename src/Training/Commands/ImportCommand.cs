using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Import;

namespace TokenMill.Training.Commands;

/// <summary><c>import</c>: a Hugging Face folder or a GGUF file as one checked GGUF file.</summary>
internal static class ImportCommand
{
    public static Command Command { get; } = new("import", "import MODEL [--type F32|F16|BF16|Q8_0] OUT.gguf", RunAsync);

    private static Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var typeName = arguments.Option("--type");
        var model = arguments.Positional("MODEL");
        var output = arguments.Positional("OUT.gguf");
        arguments.End();
        GgufType? type = typeName is null ? null
            : Enum.TryParse<GgufType>(typeName, ignoreCase: true, out var known) && GgufEncoder.CanEncode(known) ? known
            : throw new UsageException($"--type '{typeName}' is not known; take F32, F16, BF16 or Q8_0");
        foreach (var warning in ModelImport.Run(model, output, type, cancellationToken))
            Console.Error.WriteLine($"warning: {warning.Code}: {warning.Message}");
        Console.Out.WriteLine(output);
        return Task.FromResult(CommandLineHost.Done);
    }
}
