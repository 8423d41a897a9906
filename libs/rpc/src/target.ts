/** Several fixed addresses become an ipv4 target, which grpc-js resolves to all of them. */
export function targetOf(addresses: string): string {
  const list = addresses.split(',').map((address) => address.trim());
  return list.length === 1 ? list[0]! : `ipv4:${list.join(',')}`;
}
