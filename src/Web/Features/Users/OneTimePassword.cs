using System.Security.Cryptography;

namespace TokenMill.Web.Features.Users;

/// <summary>A password for one sign-in, easy to read out: no letters that look alike. 16 of 30 signs are 78 bits.</summary>
public static class OneTimePassword
{
    private const string Alphabet = "abcdefghjkmnpqrstuvwxyz2345679";

    public static string New()
    {
        var signs = RandomNumberGenerator.GetItems<char>(Alphabet, 16);
        return string.Join('-', signs.Chunk(4).Select(part => new string(part)));
    }
}
