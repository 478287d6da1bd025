// From protos to TypeScript: messages and services by buf and protoc-gen-es, then one module that
// re-exports all of them and one that lists the services. Everything lands in src/gen.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const beside = join(here, "proto");
const protos = existsSync(beside) ? beside : join(here, "..", "..", "proto");
const google = join(here, "node_modules", "google-proto-files");
const shared = ["google/rpc/status.proto", "google/rpc/code.proto", "google/rpc/error_details.proto",
  "google/type/money.proto", "google/api/annotations.proto", "google/api/http.proto"];

// buf reads one folder: ours and the few of Google's that ours import.
const input = join(here, "build", "protos");
rmSync(join(here, "build"), { recursive: true, force: true });
rmSync(join(here, "src", "gen"), { recursive: true, force: true });
cpSync(join(protos, "relais"), join(input, "relais"), { recursive: true });
for (const file of shared) {
  mkdirSync(dirname(join(input, file)), { recursive: true });
  cpSync(join(google, file), join(input, file));
}
const bin = join(here, "node_modules", ".bin");
execFileSync(join(bin, "buf"), ["generate", input, "--template", "buf.gen.yaml"],
  { cwd: here, stdio: "inherit", env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } });

const stems = readdirSync(join(protos, "relais", "v1"))
  .filter((name) => name.endsWith(".proto")).map((name) => name.slice(0, -".proto".length)).sort();
const head = "// Generated from the protos by scripts/generate.mjs.\n\n";
writeFileSync(join(here, "src", "gen", "v1.ts"),
  head + stems.map((stem) => `export * from "./relais/v1/${stem}_pb.js";\n`).join(""));

// LeadService is client.leads, PrivacyService client.privacy.
const counted = new Set(["Lead", "Opportunity", "Import", "Event", "Account", "Segment", "Task",
  "Campaign", "Product", "Handoff"]);
function member(service) {
  const noun = service.slice(0, -"Service".length);
  const plural = !counted.has(noun) ? noun : noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return plural[0].toLowerCase() + plural.slice(1);
}

const services = stems.flatMap((stem) => [...readFileSync(
  join(protos, "relais", "v1", `${stem}.proto`), "utf8").matchAll(/^service (\w+)/gm)]
  .map((found) => ({ stem, name: found[1] })));
writeFileSync(join(here, "src", "gen", "services.ts"), head +
  services.map(({ stem, name }) => `import { ${name} } from "./relais/v1/${stem}_pb.js";\n`).join("") +
  "\nexport const services = {\n" +
  services.map(({ name }) => `  ${member(name)}: ${name},\n`).join("") + "} as const;\n");
