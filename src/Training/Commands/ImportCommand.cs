using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Training.Import;

namespace TokenMill.Training.Commands;

/// <summary><c>import</c>: a Hugging Face folder or a GGUF file as one checked GGUF file; without a place for it, a folder's is kept in the user's cache.</summary>
internal static class ImportCommand
{
    public static Command Command { get; } = new("import", "import MODEL [--type F32|F16|BF16|Q8_0] [OUT.gguf]", RunAsync);

    private static Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var typeName = arguments.Option("--type");
        var model = arguments.Positional("MODEL");
        var output = arguments.HasPositional ? arguments.Positional("OUT.gguf") : null;
        arguments.End();
        GgufType? type = typeName is null ? null
            : Enum.TryParse<GgufType>(typeName, ignoreCase: true, out var known) && GgufEncoder.CanEncode(known) ? known
            : throw new UsageException($"--type '{typeName}' is not known; take F32, F16, BF16 or Q8_0");
        if (output is null)
        {
            if (type is not null || !Directory.Exists(model)) throw new UsageException("OUT.gguf is missing");
            Console.Out.WriteLine(ImportedModel.PathOf(model, cancellationToken));
            return Task.FromResult(CommandLineHost.Done);
        }
        foreach (var warning in ModelImport.Run(model, output, type, cancellationToken))
            Console.Error.WriteLine($"warning: {warning.Code}: {warning.Message}");
        Console.Out.WriteLine(output);
        return Task.FromResult(CommandLineHost.Done);
    }
}
