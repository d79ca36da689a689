using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("TokenMill.Shared.Tests")]
