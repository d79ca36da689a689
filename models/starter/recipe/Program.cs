using System.Security.Cryptography;
using TokenMill.Recipe;

// Writes the corpus of the starter model: dotnet run --project models/starter/recipe -- FOLDER
// Every run writes the same bytes; their SHA-256 stand in corpus.sha256 beside this file.
if (args is not [var folder])
{
    Console.Error.WriteLine("usage: dotnet run --project models/starter/recipe -- FOLDER");
    return 2;
}
Directory.CreateDirectory(folder);
var corpus = Corpus.Generate(Grammar.Load(Path.Combine(AppContext.BaseDirectory, "content")));
Write("train.jsonl", corpus.Train);
Write("held-out.jsonl", corpus.HeldOut);
return 0;

void Write(string name, IReadOnlyList<Row> rows)
{
    var bytes = Corpus.ToJsonLines(rows);
    File.WriteAllBytes(Path.Combine(folder, name), bytes);
    Console.WriteLine($"{Convert.ToHexStringLower(SHA256.HashData(bytes))}  {name}");
}
