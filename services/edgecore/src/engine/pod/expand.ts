// $(VAR) in command, args and env values, as Kubernetes defines it: known names are replaced, unknown ones stay as they are, $$ is one $.

/** `mapping` gives a variable's value, undefined for an unknown one. */
export function expand(text: string, mapping: (name: string) => string | undefined): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, after: string, name: string | undefined) => {
    if (after === '$') return '$';
    return mapping(name ?? '') ?? whole;
  });
}
