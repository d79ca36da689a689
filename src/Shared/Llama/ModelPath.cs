using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Llama;

/// <summary>What can be said about a model's path before anything is read.</summary>
public static class ModelPath
{
    /// <exception cref="RefusedException">model-not-found, model-is-folder.</exception>
    public static void Require(string path)
    {
        if (File.Exists(path)) return;
        throw Directory.Exists(path)
            ? new RefusedException("model-is-folder", $"{path} is a folder; llama.cpp reads GGUF files", "make a GGUF file of it: ./run import FOLDER MODEL.gguf")
            : new RefusedException("model-not-found", $"{path} does not exist", "give the path of a GGUF file");
    }
}
